import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";

/** A channel that delivers given chunks and keeps what is written: every cut of the input is under control. */
export class MemoryChannel implements Channel {
  readonly medium = "connection";
  readonly peer = "memory";
  readonly closed: Promise<void>;
  readonly #chunks: readonly Uint8Array[];
  readonly #written: Uint8Array[] = [];
  #resolveClosed: () => void = () => {};
  bytesRead = 0;
  bytesWritten = 0;
  error: MigrationError | undefined;
  /** What every write waits for. */
  taken: Promise<void> = Promise.resolve();

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get written(): string {
    return Buffer.concat(this.#written).toString();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#written.push(bytes);
    await this.taken;
    this.bytesWritten += bytes.length;
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    for (const chunk of this.#chunks) {
      this.bytesRead += chunk.length;
      yield chunk;
    }
  }

  async end(): Promise<void> {}

  destroy(error?: MigrationError): void {
    this.error ??= error;
    this.#resolveClosed();
  }
}
