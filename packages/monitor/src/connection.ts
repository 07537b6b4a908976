import type { MigrationError } from "@peregrine/protocol";
import type { CommandClient } from "./command.ts";

/** What has come from a client: a value, or why what came is none. */
export type Received =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "bad"; readonly error: MigrationError };

/** A client's connection in some framing: whole messages, which are values as JSON has them. */
export interface MonitorConnection extends CommandClient {
  /** Resolves, never rejects, once the connection is gone. */
  readonly closed: Promise<void>;
  /**
   * The messages as they come. Nothing is read ahead of the caller but a bounded buffer. Ends when the client
   * has ended its direction, and throws when the connection fails.
   */
  receive(): AsyncGenerator<Received, void, void>;
  /** The bytes of one message. */
  encode(message: unknown): Uint8Array;
  /** Resolves when the kernel has the bytes of one message. Errors: CHANNEL_FAILED. */
  write(message: Uint8Array): Promise<void>;
  /** Ends this direction after everything that was written. */
  end(): Promise<void>;
  /** Drops the connection at once, with what was not yet sent. */
  destroy(error?: MigrationError): void;
}
