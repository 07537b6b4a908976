import { MigrationError } from "@peregrine/protocol";
import type { MultifdInit } from "@peregrine/protocol";
import type { RamAccess } from "@peregrine/shared-state";
import type { Channel } from "@peregrine/transport";
import { closeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { ChannelTask, MessageFromChannel, MessageToChannel } from "./channel-messages.ts";
import type { PlacedBlock } from "./ram-loader.ts";

/** Little lives long in such a thread: what is dropped is to be freed soon, with the buffers that it holds. */
const LIMITS = { maxYoungGenerationSizeMb: 4 };
const ENTRY = new URL("./channel-thread.ts", import.meta.url);
const NOTHING = new Uint8Array(0);

/** A connection that begins as a multifd channel does. */
export interface MultifdConnection {
  /** Everything that comes on it. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined where the bytes come from elsewhere. */
  readonly channel?: Channel;
  /** What was read from the channel already; in `chunks`, too. */
  readonly head?: Uint8Array;
}

/** What happens on a channel. */
export interface ChannelEvents {
  init(init: MultifdInit): void;
  /** It has come to a sync. The promise ends when it may go on. */
  sync(): Promise<void>;
  /** It has ended behind a whole packet. */
  ended(): void;
  failed(error: MigrationError): void;
}

/** The thread of one multifd channel, as the incoming thread sees it. */
export class ChannelThread {
  /** Resolves when nothing is left of it. Never rejects. */
  readonly gone: Promise<void>;
  readonly #worker: Worker;
  readonly #events: ChannelEvents;
  /** A descriptor on its way to the thread. */
  #given: number | undefined;
  /** A connection whose bytes are passed on. */
  #channel: Channel | undefined;
  #taken: (() => void) | undefined;
  #closed = false;

  constructor(task: ChannelTask, events: ChannelEvents) {
    this.#events = events;
    this.#worker = new Worker(ENTRY, {
      name: "channel",
      workerData: task,
      trackUnmanagedFds: false,
      resourceLimits: LIMITS,
    });
    this.#worker.on("message", (message: MessageFromChannel) => this.#onMessage(message));
    this.#worker.on("error", (cause) => this.#threadFailed(cause));
    this.gone = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        // It died before it could take it.
        if (this.#given !== undefined) closeSync(this.#given);
        this.#threadFailed(new Error(`it ended with exit code ${code}`));
        resolve();
      });
    });
  }

  /**
   * Loads a connection to its end: the thread takes the socket if that is possible, and is given its bytes otherwise.
   * Resolves when there is nothing to be done here any more. Never rejects.
   */
  async load({ channel, head = NOTHING, chunks }: MultifdConnection): Promise<void> {
    const connection = await channel?.release?.();
    if (connection !== undefined) {
      if (this.#closed) {
        closeSync(connection.descriptor);
        return;
      }
      this.#given = connection.descriptor;
      this.#post({ kind: "load", connection, bytes: head });
      return;
    }
    this.#channel = channel;
    if (this.#closed) channel?.destroy();
    this.#post({ kind: "load", connection: undefined, bytes: NOTHING });
    try {
      for await (const chunk of chunks) await this.#pass(chunk);
      this.#post({ kind: "end" });
    } catch (error) {
      this.#broken(MigrationError.from(error));
    }
  }

  /** Tells it where the pages go. */
  open(ram: RamAccess, blocks: readonly PlacedBlock[]): void {
    this.#post({ kind: "memory", ram, blocks });
  }

  /** Drops the connection. The thread ends by itself. */
  close(): void {
    if (this.#closed) return;
    this.#post({ kind: "close" });
    this.#closed = true;
    this.#channel?.destroy();
    this.#wake();
  }

  /**
   * Releases of QEMU before 10.0 end channels with TLS by cutting them, behind the last packet and maybe before the main
   * stream is there. So the thread is told of an end, and it fails if it is in a packet; so does whoever still needs the
   * channel.
   */
  #broken(error: MigrationError): void {
    if (this.#closed) return;
    if (error.code === "CHANNEL_CUT") this.#post({ kind: "end" });
    else this.#events.failed(error);
  }

  #post(message: MessageToChannel, transfer: readonly ArrayBuffer[] = []): void {
    if (!this.#closed) this.#worker.postMessage(message, transfer);
  }

  async #pass(chunk: Uint8Array): Promise<void> {
    if (this.#closed) return;
    const bytes = new Uint8Array(chunk);
    const taken = new Promise<void>((resolve) => {
      this.#taken = resolve;
    });
    this.#post({ kind: "bytes", bytes }, [bytes.buffer]);
    await taken;
  }

  #wake(): void {
    this.#taken?.();
    this.#taken = undefined;
  }

  #onMessage(message: MessageFromChannel): void {
    if (message.kind === "adopted") this.#given = undefined;
    if (this.#closed) return;
    switch (message.kind) {
      case "adopted":
        break;
      case "taken":
        this.#wake();
        break;
      case "init":
        this.#events.init(message.init);
        break;
      case "sync":
        void this.#events.sync().then(() => this.#post({ kind: "go-on" }));
        break;
      case "ended":
        this.#events.ended();
        break;
      case "failed":
        this.#events.failed(MigrationError.deserialize(message.error));
        break;
    }
  }

  #threadFailed(cause: unknown): void {
    if (this.#closed) return;
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#events.failed(new MigrationError("INTERNAL", `The thread of a multifd channel failed: ${why}`));
  }
}
