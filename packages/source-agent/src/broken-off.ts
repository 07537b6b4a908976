import { MigrationError } from "@peregrine/protocol";

/** What the operating system says of a peer whose process has gone. */
const GONE: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE"]);

/**
 * A destination of QEMU that refuses a guest says why on its own terminal and exits: here the channel just
 * breaks. Other errors stay as they are.
 */
export function brokenOff(error: MigrationError, peer: string): MigrationError {
  const { cause } = error;
  if (!(cause instanceof Error) || !("code" in cause) || !GONE.has(cause.code)) return error;
  const text = `The destination '${peer}' broke off the migration, and its own log may say why: ${error.message}`;
  return new MigrationError(error.code, text, { cause: error });
}
