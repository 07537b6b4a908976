import type { MigrationError } from "@peregrine/protocol";
import type { MultifdConnection } from "./multifd-connection.ts";

/** The connections of multifd together. One caller waits at a time. */
export class MultifdConnections {
  readonly #connections: MultifdConnection[] = [];
  /** Where the search for a free connection begins. */
  #turn = 0;
  #givenUp: MigrationError | undefined;
  #change: (() => void) | undefined;
  readonly #broken = Promise.withResolvers<never>();

  constructor() {
    this.#broken.promise.catch(() => {});
  }

  /** Rejects when one of them breaks, or all are given up. It need not be handled. Errors: those of {@link check}. */
  get broken(): Promise<never> {
    return this.#broken.promise;
  }

  add(connection: MultifdConnection): void {
    this.#connections.push(connection);
  }

  /** One of them has changed: whoever waits looks again. */
  readonly changed = (): void => {
    this.#change?.();
    this.#change = undefined;
    try {
      this.check();
    } catch (error) {
      this.#broken.reject(error);
    }
  };

  /** Resolves when all are connected. Errors: CONNECT_FAILED, CHANNEL_FAILED. */
  async opened(): Promise<void> {
    await this.#until(() => this.#connections.every(({ isOpen }) => isOpen));
  }

  /**
   * Gives a batch to the next connection that takes one, when there is one.
   * @param expected bytes that it may become.
   * @param mostUncounted the batch waits while there are more bytes on their way, together with it, that are not counted
   *   yet; 0: any number. A batch that is alone does not wait.
   * Errors: CHANNEL_FAILED.
   */
  async send(block: number, runs: Uint32Array, expected: number, mostUncounted: number): Promise<void> {
    let connection: MultifdConnection | undefined;
    await this.#until(() => {
      if (mostUncounted > 0 && this.#uncounted > 0 && this.#uncounted + expected > mostUncounted)
        return false;
      connection = this.#free();
      return connection !== undefined;
    });
    connection!.send(block, runs, expected);
  }

  /** Resolves when every batch was copied out of the guest. Errors: CHANNEL_FAILED. */
  async allRead(): Promise<void> {
    await this.#until(() => this.#connections.every(({ hasRead }) => hasRead));
  }

  /**
   * Ends what was sent so far with a packet on every connection, behind which the destination waits until the main
   * stream comes to the same point. Resolves when these packets are on their way. Errors: CHANNEL_FAILED.
   */
  async sync(): Promise<void> {
    for (const connection of this.#connections) {
      await this.#until(() => connection.free);
      connection.sync();
    }
  }

  /** Resolves when the kernel has everything. Errors: CHANNEL_FAILED. */
  async flush(): Promise<void> {
    await this.#until(() => this.#connections.every(({ idle }) => idle));
  }

  /** Errors: CHANNEL_FAILED when a connection broke while nothing was under way. */
  check(): void {
    if (this.#givenUp !== undefined) throw this.#givenUp;
    for (const connection of this.#connections) connection.check();
  }

  /** Drops them all. @param reason what whoever waits fails with. */
  close(reason?: MigrationError): void {
    this.#givenUp ??= reason;
    for (const connection of this.#connections) connection.close();
    this.changed();
  }

  /** Resolves when nothing is left of their threads. */
  async gone(): Promise<void> {
    await Promise.all(this.#connections.map(({ gone }) => gone));
  }

  get #uncounted(): number {
    return this.#connections.reduce((sum, { uncounted }) => sum + uncounted, 0);
  }

  #free(): MultifdConnection | undefined {
    const { length } = this.#connections;
    for (let visited = 0; visited < length; visited++) {
      const connection = this.#connections[this.#turn]!;
      this.#turn = (this.#turn + 1) % length;
      if (connection.free) return connection;
    }
    return undefined;
  }

  async #until(reached: () => boolean): Promise<void> {
    for (;;) {
      this.check();
      if (reached()) return;
      await new Promise<void>((resolve) => {
        this.#change = resolve;
      });
    }
  }
}
