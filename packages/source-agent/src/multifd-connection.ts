import { MigrationError } from "@peregrine/protocol";
import { Worker } from "node:worker_threads";
import { BATCHES_IN_FLIGHT } from "./multifd-messages.ts";
import type { MessageFromMultifd, MessageToMultifd, MultifdThreadData } from "./multifd-messages.ts";

/** Little lives long in such a thread: what is dropped is to be freed soon, with the buffers that it holds. */
const LIMITS = { maxYoungGenerationSizeMb: 4 };
const ENTRY = new URL("./multifd-thread.ts", import.meta.url);

export interface MultifdConnectionOptions {
  readonly data: MultifdThreadData;
  /** Which of the connections this is, for error texts. */
  readonly which: string;
  /** Told of what has gone out, packet by packet: bytes, and how many pages they are. */
  readonly sent: (bytes: number, pages: number) => void;
  /** Told of a batch's pages that are zero, and of how many are not. */
  readonly read: (block: number, zeroPages: Uint32Array, normal: number) => void;
  /** Something of this connection has changed. */
  readonly changed: () => void;
}

/** One of the connections of multifd, as the migration thread sees it: the thread that has the socket does the work. */
export class MultifdConnection {
  /** Resolves when nothing is left of the thread. Never rejects. */
  readonly gone: Promise<void>;
  readonly #options: MultifdConnectionOptions;
  readonly #worker: Worker;
  #open = false;
  /** Packets that the kernel does not have yet. */
  #inFlight = 0;
  /** Batches that were not copied out of the guest yet. */
  #unread = 0;
  /** Of the packets in flight, oldest first: the bytes that they were expected to become. */
  readonly #expected: number[] = [];
  #failure: MigrationError | undefined;
  #closed = false;

  constructor(options: MultifdConnectionOptions) {
    this.#options = options;
    this.#worker = new Worker(ENTRY, {
      name: "multifd",
      workerData: options.data,
      trackUnmanagedFds: false,
      resourceLimits: LIMITS,
    });
    this.#worker.on("message", (message: MessageFromMultifd) => this.#onMessage(message));
    this.#worker.on("error", (cause) => this.#fail(threadFailed(cause)));
    this.gone = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#fail(threadFailed(new Error(`it ended with exit code ${code}`)));
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether it takes another packet. */
  get free(): boolean {
    return this.#inFlight < BATCHES_IN_FLIGHT;
  }

  /** Whether the kernel has everything. */
  get idle(): boolean {
    return this.#inFlight === 0;
  }

  /** Whether every batch was copied out of the guest. */
  get hasRead(): boolean {
    return this.#unread === 0;
  }

  /** Bytes that are on their way and not counted yet, as they were expected. */
  get uncounted(): number {
    return this.#expected.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Errors: CONNECT_FAILED, CHANNEL_FAILED, INTERNAL when the connection is of no use any more. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Sends a batch; the connection has to be {@link free}. @param expected bytes that it may become. */
  send(block: number, runs: Uint32Array, expected: number): void {
    this.#unread++;
    this.#begin({ kind: "pages", block, runs }, expected);
  }

  /** Sends a packet behind which the destination waits for the others; the connection has to be {@link free}. */
  sync(): void {
    this.#begin({ kind: "sync" }, 0);
  }

  /** Drops the connection. The thread ends by itself. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#post({ kind: "close" });
  }

  #begin(message: MessageToMultifd, expected: number): void {
    this.#inFlight++;
    this.#expected.push(expected);
    this.#post(message);
  }

  #post(message: MessageToMultifd): void {
    this.#worker.postMessage(message);
  }

  #onMessage(message: MessageFromMultifd): void {
    const { sent, read, changed } = this.#options;
    switch (message.kind) {
      case "open":
        this.#open = true;
        sent(message.bytes, 0);
        break;
      case "read":
        this.#unread--;
        read(message.block, message.zeroPages, message.normal);
        break;
      case "sent":
        this.#inFlight--;
        this.#expected.shift();
        sent(message.bytes, message.pages);
        break;
      case "failed":
        this.#fail(explain(MigrationError.deserialize(message.error), this.#options.which));
        break;
    }
    changed();
  }

  /** The first failure counts. What follows a close is none. */
  #fail(error: MigrationError): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    this.#options.changed();
  }
}

/** A destination that expects no connections but the main one closes the others. Other errors stay as they are. */
function explain(error: MigrationError, which: string): MigrationError {
  if (error.code !== "CONNECT_FAILED" && error.code !== "CHANNEL_FAILED") return error;
  const text = `${error.message} (${which}: the destination has to have multifd switched on, with as many channels)`;
  return new MigrationError(error.code, text, { cause: error });
}

function threadFailed(cause: unknown): MigrationError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MigrationError("INTERNAL", `The thread of a multifd connection failed: ${why}`);
}
