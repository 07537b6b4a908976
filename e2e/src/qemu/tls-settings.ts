import { join } from "node:path";
import {
  sharedKey,
  TestAuthority,
  writeCredentials,
  writeKeys,
} from "@peregrine/transport/testing/certificates";
import type { Lab } from "./lab.ts";
import type { VirtualMachine } from "./virtual-machine.ts";

/** How the two sides know each other. */
export type TlsKind = "x509" | "psk";

/** The subject of the clients' certificate, as authorization objects name it. */
export const CLIENT_NAME = "C=GB,O=Example Home,CN=mover";

/** One directory with credentials for all machines and agents of a test. */
export class TlsLab {
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly #kind: TlsKind;

  private constructor(directory: string, kind: TlsKind, authority: TestAuthority) {
    this.directory = directory;
    this.authority = authority;
    this.#kind = kind;
  }

  static async create(lab: Lab, kind: TlsKind): Promise<TlsLab> {
    const directory = join(lab.directory, "credentials");
    const authority = await TestAuthority.create();
    if (kind === "psk") await writeKeys(directory, { qemu: sharedKey(), other: sharedKey() });
    else {
      await writeCredentials(directory, {
        authorities: authority.certificate,
        server: await authority.issue("server", { usage: ["server"] }),
        client: await authority.issue("client", { subject: CLIENT_NAME, usage: ["client"] }),
      });
    }
    return new TlsLab(directory, kind, authority);
  }

  /** Flags of `peregrine receive`. */
  get receives(): string[] {
    return ["--object", this.#object("in", "server"), "--tls-creds", "in"];
  }

  /** Flags of `peregrine migrate`. The address is a number or a path, and the certificate has a name. */
  get sends(): string[] {
    return ["--object", this.#object("out", "client"), "--tls-creds", "out", "--tls-hostname", "localhost"];
  }

  /** Flags of `peregrine relay`. */
  get relays(): string[] {
    return [...this.sends, "--object", this.#object("in", "server"), "--intake-tls-creds", "in"];
  }

  /** Has a QEMU use TLS. */
  async prepare(machine: VirtualMachine, endpoint: "client" | "server"): Promise<void> {
    await machine.execute("object-add", {
      "qom-type": `tls-creds-${this.#kind}`,
      id: "tls0",
      dir: this.directory,
      endpoint,
    });
    await machine.configure({ parameters: { "tls-creds": "tls0", "tls-hostname": "localhost" } });
  }

  #object(id: string, endpoint: "client" | "server"): string {
    return `tls-creds-${this.#kind},id=${id},dir=${this.directory},endpoint=${endpoint}`;
  }
}
