import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";

/** A channel whose writes end when the test says so, and whose incoming bytes the test makes up. */
export class FakeChannel implements Channel {
  readonly medium = "connection";
  readonly peer = "127.0.0.1:4444";
  readonly bytesRead = 0;
  readonly closed = new Promise<void>(() => {});
  error: MigrationError | undefined;
  /** What was written, a copy of each write made when it ended. */
  readonly written: Uint8Array[] = [];
  pendingWrites = 0;
  mostPendingWrites = 0;
  readonly #incoming: readonly Uint8Array[];
  readonly #hold: (() => Promise<void>) | undefined;

  constructor(options: { incoming?: readonly Uint8Array[]; hold?: () => Promise<void> } = {}) {
    this.#incoming = options.incoming ?? [];
    this.#hold = options.hold;
  }

  get bytesWritten(): number {
    return this.written.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.held(() => bytes);
  }

  /** A write of what `bytes` gives when it ends. */
  protected async held(bytes: () => Uint8Array): Promise<void> {
    this.pendingWrites++;
    this.mostPendingWrites = Math.max(this.mostPendingWrites, this.pendingWrites);
    await this.#hold?.();
    this.pendingWrites--;
    if (this.error !== undefined) throw this.error;
    this.written.push(new Uint8Array(bytes()));
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    for (const chunk of this.#incoming) yield chunk;
    if (this.error !== undefined) throw this.error;
  }

  async end(): Promise<void> {}

  destroy(error = new MigrationError("CHANNEL_FAILED", "closed")): void {
    this.error ??= error;
  }
}
