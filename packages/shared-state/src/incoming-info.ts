/** A socket that a guest is awaited on, with the names that `query-migrate` has. */
export type SocketAddress =
  | {
      readonly type: "inet";
      readonly host: string;
      /** A number as text. */
      readonly port: string;
      readonly ipv4?: true;
      readonly ipv6?: true;
    }
  | { readonly type: "unix"; readonly path: string };

/** The answer of `query-migrate` where a guest is to arrive, until one is sent from there. */
export type IncomingInfo =
  /** Nobody has said yet where it is to be awaited. */
  | { readonly status?: never }
  | {
      /** Awaited, or being loaded. */
      readonly status: "setup" | "active";
      /** Where it listens, if it does so on a socket. */
      readonly "socket-address"?: readonly SocketAddress[];
    }
  /** Loaded, and nobody knows here whether the source has kept it. */
  | { readonly status: "active"; readonly "error-desc": string }
  | { readonly status: "completed" }
  | { readonly status: "failed"; readonly "error-desc": string };
