import { MigrationError } from "@peregrine/protocol";
import type { MultifdConnection } from "./multifd-connection.ts";
import type { PageBatch } from "./page-batch.ts";

/** The connections of multifd together. */
export class MultifdConnections {
  readonly #connections: readonly MultifdConnection[];
  /** Packets are numbered over all connections. */
  #packetNumber = 0;
  /** Where the search for a free connection begins. */
  #turn = 0;

  constructor(connections: readonly MultifdConnection[]) {
    this.#connections = connections;
  }

  /**
   * Gives a batch to the next connection that has nothing under way, when there is one.
   * @param block the name of the batch's block.
   * @returns an empty batch. Errors: CHANNEL_FAILED.
   */
  async send(block: string, batch: PageBatch): Promise<PageBatch> {
    const connection = await this.#free();
    return connection.send(this.#packetNumber++, block, batch);
  }

  /**
   * Ends what was sent so far with a packet on every connection, behind which the destination waits until the main
   * stream comes to the same point. Resolves when these packets are on their way. Errors: CHANNEL_FAILED.
   */
  async sync(): Promise<void> {
    for (const connection of this.#connections) {
      await connection.sent;
      connection.sync(this.#packetNumber++);
    }
  }

  /** Resolves when the kernel has everything. Errors: CHANNEL_FAILED. */
  async flush(): Promise<void> {
    for (const connection of this.#connections) await connection.sent;
    this.check();
  }

  /** Errors: CHANNEL_FAILED when a connection broke while nothing was under way. */
  check(): void {
    for (const connection of this.#connections) connection.check();
  }

  destroy(error?: MigrationError): void {
    for (const connection of this.#connections) connection.destroy(error);
  }

  async #free(): Promise<MultifdConnection> {
    this.check();
    for (;;) {
      const { length } = this.#connections;
      for (let visited = 0; visited < length; visited++) {
        const connection = this.#connections[this.#turn]!;
        this.#turn = (this.#turn + 1) % length;
        if (connection.free) return connection;
      }
      await Promise.race(this.#connections.map(({ sent }) => sent));
    }
  }
}
