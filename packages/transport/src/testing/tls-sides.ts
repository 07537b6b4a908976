import { loadCredentials } from "../tls/load-credentials.ts";
import type { ClientTls, ServerTls } from "../tls/credentials.ts";
import { sharedKey, TestAuthority, writeCredentials, writeKeys } from "./certificates.ts";

/** TLS of two sides that go together. */
export interface TlsSides {
  readonly client: ClientTls;
  readonly server: ServerTls;
  /** Where their credentials are. */
  readonly directory: string;
}

/** Makes credentials in a directory, for localhost. */
export async function bothSides(directory: string, kind: "x509" | "psk" = "x509"): Promise<TlsSides> {
  if (kind === "psk") {
    await writeKeys(directory, { qemu: sharedKey(), other: sharedKey() });
    const common = { kind, id: "tls0", directory, username: "qemu" } as const;
    return {
      client: { credentials: await loadCredentials({ ...common, endpoint: "client" }) },
      server: { credentials: await loadCredentials({ ...common, endpoint: "server" }) },
      directory,
    };
  }
  const authority = await TestAuthority.create();
  await writeCredentials(directory, {
    authorities: authority.certificate,
    server: await authority.issue("server", { usage: ["server"] }),
    client: await authority.issue("client", { usage: ["client"] }),
  });
  const common = { kind, id: "tls0", directory, verifyPeer: true } as const;
  return {
    client: { credentials: await loadCredentials({ ...common, endpoint: "client" }), hostname: "localhost" },
    server: { credentials: await loadCredentials({ ...common, endpoint: "server" }) },
    directory,
  };
}
