/** Which end of a connection credentials are for. */
export type TlsEndpoint = "client" | "server";

interface Common {
  readonly id: string;
  readonly endpoint: TlsEndpoint;
  /** Where the files came from, for error texts. */
  readonly directory: string;
}

/** Certificates, as they were read from the files of a directory. */
export interface X509Credentials extends Common {
  readonly kind: "x509";
  /** Whether the other side has to show a certificate that is in order. */
  readonly verifyPeer: boolean;
  /** PEM: the authorities that the other side's certificate may come from, and what they have revoked. */
  readonly authorities: string;
  /** Where the authorities came from, for error texts. */
  readonly trust: string;
  readonly revoked: string | undefined;
  /** PEM: what this side shows of itself. A client may have none. */
  readonly own: { readonly certificate: string; readonly key: string } | undefined;
}

/** Keys that both sides have. */
export interface PskCredentials extends Common {
  readonly kind: "psk";
  /** What a client calls itself. */
  readonly username: string;
  /** Hexadecimal, by the name of who has it. Of a client its own alone. */
  readonly keys: ReadonlyMap<string, string>;
}

/** What one side of TLS has. Survives structured clone, so that threads can have it. */
export type TlsCredentials = X509Credentials | PskCredentials;

/** Who may connect, of those that the credentials let in. Survives structured clone. */
export type Authorization =
  /** One name: the distinguished name of a certificate, or the one that a pre-shared key has. */
  | { readonly kind: "simple"; readonly id: string; readonly identity: string }
  | {
      readonly kind: "list";
      readonly id: string;
      readonly rules: readonly AuthorizationRule[];
      readonly policy: Policy;
    }
  /** The same in a JSON file. `contents`: it was read once and is not looked at again. */
  | {
      readonly kind: "list-file";
      readonly id: string;
      readonly path: string;
      readonly contents: string | undefined;
    };

export type Policy = "allow" | "deny";

export interface AuthorizationRule {
  readonly match: string;
  readonly format: "exact" | "glob";
  readonly policy: Policy;
}

/** TLS for a channel that connects. */
export interface ClientTls {
  readonly credentials: TlsCredentials;
  /** What the certificate of the other side has to name. Default: the host that is dialled. */
  readonly hostname?: string | undefined;
}

/** TLS for channels that are accepted. */
export interface ServerTls {
  readonly credentials: TlsCredentials;
  readonly authorization?: Authorization | undefined;
}
