import { MigrationError } from "@peregrine/protocol";
import type { MonitorConnection } from "./connection.ts";

/** What waits to be sent to one client. A client that leaves too much unread is dropped. */
export class ClientOutput {
  readonly #connection: Pick<MonitorConnection, "write" | "destroy">;
  readonly #maxBytes: number;
  #waiting = 0;

  constructor(connection: Pick<MonitorConnection, "write" | "destroy">, maxBytes: number) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
  }

  send(bytes: Uint8Array): void {
    this.#waiting += bytes.length;
    if (this.#waiting > this.#maxBytes) {
      this.#connection.destroy(
        new MigrationError(
          "LIMIT_EXCEEDED",
          `The monitor's client left more than ${this.#maxBytes} bytes unread`,
        ),
      );
      return;
    }
    void this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#connection.write(bytes);
      this.#waiting -= bytes.length;
    } catch {
      // The reader of the connection sees the same failure.
    }
  }
}
