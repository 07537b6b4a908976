import { join } from "node:path";
import { TestAuthority, writeCredentials } from "@peregrine/transport/testing/certificates";

/** By which names agents have their credentials as either side. */
export const CREDENTIALS = { client: "client", server: "server" } as const;

/** Makes credentials for both sides. @returns their directory. */
export async function makeCredentials(directory: string): Promise<string> {
  const authority = await TestAuthority.create();
  return writeCredentials(join(directory, "pki"), {
    authorities: authority.certificate,
    server: await authority.issue("server", { usage: ["server"] }),
    client: await authority.issue("client", { usage: ["client"] }),
  });
}

/** What every agent is started with: it may be the source of a migration over TLS. */
export function clientOptions(pki: string): string[] {
  return objectOptions(pki, "client");
}

/** What a destination is started with that takes nobody without TLS. */
export function serverOptions(pki: string): string[] {
  return [...objectOptions(pki, "server"), "--tls-creds", CREDENTIALS.server];
}

function objectOptions(pki: string, endpoint: keyof typeof CREDENTIALS): string[] {
  return ["--object", `tls-creds-x509,id=${CREDENTIALS[endpoint]},dir=${pki},endpoint=${endpoint}`];
}
