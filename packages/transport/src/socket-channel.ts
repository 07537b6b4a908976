import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";
import type { Duplex } from "node:stream";
import net from "node:net";
import type {
  Channel,
  ChannelOptions,
  Gathering,
  Medium,
  ReceivedDescriptors,
  ReleasedConnection,
  Scattering,
} from "./channel.ts";
import { secondWrite, twoReaders } from "./channel-mistakes.ts";
import { descriptorOf } from "./descriptors/descriptor-of.ts";
import { loadDuplicate } from "./descriptors/duplicate.ts";
import { isSilence, systemError } from "./errno.ts";
import { openGathering } from "./gathered-write.ts";
import type { StartWrite } from "./gathered-write.ts";
import { DEFAULT_KEEPALIVE, watchLink } from "./link-watch.ts";
import { handled, refused } from "./handled-promise.ts";
import { LoopTurn } from "./loop-turn.ts";
import { openScattering } from "./scattered-read.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { readUnread } from "./unread.ts";

const DEFAULT_STALL_TIMEOUT_MS = 30_000;

/** What a channel needs of a socket. A write calls back when the kernel has the bytes. */
export interface ByteSocket extends Duplex {
  /** Has the socket emit `timeout` when nothing has moved for so many milliseconds; 0: never. */
  setTimeout(ms: number): unknown;
  readonly descriptors?: ReceivedDescriptors;
  /** After `end`: why that was not the end which the peer gives. Undefined where nobody can tell, or it was. */
  readonly endFault?: string | undefined;
  /** The socket of the system below it. */
  readonly below?: ByteSocket;
}

/** Somebody who is given the incoming bytes as they come. */
interface Passing {
  readonly take: (bytes: Uint8Array) => boolean;
  readonly over: PromiseWithResolvers<void>;
}

/** In which directions bytes can go. */
export type SocketDirection = "both" | "out" | "in";

/**
 * A channel over a connected socket, or over one end of a pipe. At most one chunk waits here for the reader, and
 * about as much inside the socket; then the socket is paused and the peer is held back by the kernel.
 */
export class SocketChannel implements Channel {
  readonly peer: string;
  readonly medium: Medium;
  readonly closed: Promise<void>;
  readonly #socket: ByteSocket;
  readonly #direction: SocketDirection;
  readonly #stallTimeout: number;
  readonly #reads: ReadBuffer | undefined;
  #error: MigrationError | undefined;
  #bytesWritten = 0;
  #bytesRead = 0;
  /** A write that the kernel takes whole completes at once: a fast peer would starve everything else of this thread. */
  readonly #turn = new LoopTurn();
  #pendingWrites = 0;
  /** No other write may begin. */
  #writesAlone = false;
  #ending: Promise<void> | undefined;
  #chunk: Uint8Array | undefined;
  #peerEnded = false;
  /** What fails whoever comes to the end of the bytes. They themselves are all right, and may be all that is wanted. */
  #endFault: MigrationError | undefined;
  #wakeReader: (() => void) | undefined;
  #passing: Passing | undefined;
  /** Whether bytes are taken from the kernel. */
  #isReading = true;

  constructor(
    socket: ByteSocket,
    peer: string,
    options: ChannelOptions,
    direction: SocketDirection = "both",
    reads?: ReadBuffer,
  ) {
    this.#socket = socket;
    this.#direction = direction;
    this.#reads = reads;
    this.medium = direction === "both" ? "connection" : "pipe";
    this.peer = peer;
    this.#stallTimeout = options.stallTimeout ?? DEFAULT_STALL_TIMEOUT_MS;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#onClose();
        resolve();
      });
    });
    this.#watchLink(options.keepalive ?? DEFAULT_KEEPALIVE);
    if (reads === undefined) socket.on("data", this.#onChunk);
    else reads.connect(this.#onRead);
    socket.once("end", () => this.#onEnd());
    socket.on("error", (error) => this.#fail(error));
    socket.on("timeout", () => this.#onStall());
    // Reading starts at once, so that the death of an idle peer is noticed without a reader.
    socket.resume();
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  get descriptors(): ReceivedDescriptors | undefined {
    return this.#socket.descriptors;
  }

  write(bytes: Uint8Array): Promise<void> {
    const refusal = this.#error ?? this.#writeRefusal();
    if (refusal !== undefined) return refused(refusal);
    if (bytes.length === 0) return Promise.resolve();
    return this.#writing(bytes.length, (done) => this.#socket.write(bytes, done));
  }

  gathering(): Promise<Gathering | undefined> {
    if (this.#direction !== "both") return Promise.resolve(undefined);
    return openGathering(this.#socket, (length, start) => this.#writeAlone(length, start));
  }

  scattering(): Promise<Scattering | undefined> {
    if (this.#reads === undefined) return Promise.resolve(undefined);
    return openScattering(this.#socket, this.#reads, (bytes) => {
      this.#bytesRead += bytes;
    });
  }

  #writeAlone(length: number, start: StartWrite): Promise<void> {
    const refusal = this.#error ?? (this.#pendingWrites > 0 ? secondWrite() : this.#writeRefusal());
    if (refusal !== undefined) return refused(refusal);
    this.#writesAlone = true;
    return this.#writing(length, (done) =>
      start((error) => {
        this.#writesAlone = false;
        done(error);
      }),
    );
  }

  /** @param start begins to write so many bytes. */
  #writing(length: number, start: StartWrite): Promise<void> {
    return handled((resolve, reject) => {
      let isWaited = false;
      let isDone = false;
      start((error) => {
        isDone = true;
        if (isWaited) this.#writeDone();
        if (error) {
          this.#keepUnread();
          reject(this.#fail(error));
          return;
        }
        this.#bytesWritten += length;
        resolve(this.#turn.next());
      });
      // What was written at once needs no watch over a peer that takes nothing.
      if (isDone) return;
      isWaited = true;
      this.#writeStarted();
    });
  }

  end(): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    if (this.#error !== undefined) return refused(this.#error);
    if (this.#direction === "in") return Promise.resolve();
    this.#ending = handled((resolve, reject) => {
      this.#socket.end((error?: Error | null) => {
        if (error) reject(this.#fail(error));
        else resolve();
      });
    });
    return this.#ending;
  }

  destroy(error?: MigrationError): void {
    if (this.#socket.destroyed && this.#endFault === undefined) return;
    this.#error ??= error ?? this.#failure("closed at this end");
    this.#chunk = undefined;
    this.#socket.destroy();
    this.#wake();
  }

  async release(): Promise<ReleasedConnection | undefined> {
    const duplicate = await loadDuplicate();
    if (this.#error !== undefined || this.#pendingWrites > 0 || this.#ending !== undefined) return undefined;
    const own = descriptorOf(this.#socket);
    const descriptor = own === undefined ? undefined : duplicate?.(own);
    if (descriptor === undefined) return undefined;
    const bytes = this.#takeUnread();
    // From here on nothing is read: the socket is closed before this thread looks at it again.
    this.destroy(this.#failure("another thread has it"));
    return { descriptor, peer: this.peer, bytes };
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#direction === "out") await this.closed;
    for (;;) {
      const chunk = this.#chunk;
      if (chunk !== undefined) {
        this.#chunk = undefined;
        this.#bytesRead += chunk.length;
        yield chunk;
      } else if (this.#error !== undefined) {
        throw this.#error;
      } else if (this.#endFault !== undefined) {
        this.destroy(this.#endFault);
      } else if (this.#peerEnded || this.#direction === "out") {
        return;
      } else {
        this.#reads?.wanted();
        await this.#nextEvent();
      }
    }
  }

  async pass(take: (bytes: Uint8Array) => boolean): Promise<void> {
    if (this.#passing !== undefined || this.#wakeReader !== undefined) throw twoReaders();
    const chunk = this.#chunk;
    if (chunk !== undefined) {
      this.#chunk = undefined;
      this.#bytesRead += chunk.length;
      if (!take(chunk)) return;
    }
    const noMore = this.#error !== undefined || this.#peerEnded || this.#direction === "out";
    if (noMore) return;
    this.#reads?.wanted();
    const over = Promise.withResolvers<void>();
    this.#passing = { take, over };
    this.#resume();
    await over.promise;
  }

  #nextEvent(): Promise<void> {
    if (this.#wakeReader !== undefined) throw twoReaders();
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
      this.#resume();
    });
  }

  #resume(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#socket.resume();
  }

  /** What is here and inside the socket. */
  #takeUnread(): Uint8Array {
    const pieces = this.#chunk === undefined ? [] : [this.#chunk];
    this.#chunk = undefined;
    this.#pause();
    this.#socket.off("data", this.#onChunk);
    for (;;) {
      const piece = this.#socket.read() as Buffer | null;
      if (piece === null) break;
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** The socket is closed by a write that fails, whatever has come and was not read yet. */
  #keepUnread(): void {
    if (this.#direction === "out" || this.#socket.destroyed) return;
    const last = readUnread(this.#socket);
    const bytes = Buffer.concat([this.#takeUnread(), last]);
    if (bytes.length > 0) this.#chunk = bytes;
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
    this.#passing?.over.resolve();
    this.#passing = undefined;
  }

  /** @returns whether there was somebody to give the chunk to. */
  #passOn(chunk: Uint8Array): boolean {
    const passing = this.#passing;
    if (passing === undefined) return false;
    this.#bytesRead += chunk.length;
    try {
      if (passing.take(chunk)) {
        this.#reads?.wanted();
        return true;
      }
      passing.over.resolve();
    } catch (error) {
      passing.over.reject(error);
    }
    this.#passing = undefined;
    // Somebody may be waiting already to read on.
    this.#pauseUnlessWanted();
    return true;
  }

  readonly #onChunk = (chunk: Uint8Array): void => {
    if (this.#passOn(chunk)) return;
    this.#pause();
    this.#chunk = chunk;
    this.#wake();
  };

  /**
   * The next read comes when all that this one has set going is done, as far as it waits for nothing else: most readers are
   * done with the bytes then and want more. Stopping and starting for each chunk costs more than reading it.
   */
  readonly #onRead = (chunk: Uint8Array): void => {
    if (this.#passOn(chunk)) return;
    this.#chunk = chunk;
    this.#wake();
    queueMicrotask(() => process.nextTick(this.#pauseUnlessWanted));
  };

  readonly #pauseUnlessWanted = (): void => {
    if (this.#wakeReader === undefined && this.#passing === undefined) this.#pause();
  };

  #pause(): void {
    this.#isReading = false;
    this.#socket.pause();
  }

  #onEnd(): void {
    this.#peerEnded = true;
    const fault = this.#socket.endFault;
    if (fault !== undefined) {
      this.#endFault = new MigrationError("CHANNEL_CUT", `Connection to '${this.peer}' failed: ${fault}`);
    }
    this.#wake();
  }

  #onClose(): void {
    if (!this.#isOver) this.#error ??= this.#endFault ?? this.#failure("closed");
    this.#wake();
  }

  #watchLink(limit: number): void {
    let below = this.#socket;
    while (below.below !== undefined) below = below.below;
    if (!(below instanceof net.Socket)) return;
    const text = `nothing has come back for ${limit / 1000} s: the other side or the way to it is dead`;
    const end = watchLink(below, limit, () => this.destroy(this.#failure(text, "PEER_SILENT")));
    void this.closed.then(end);
  }

  /** Every direction has ended in order. */
  get #isOver(): boolean {
    const received = this.#direction === "out" || (this.#peerEnded && this.#endFault === undefined);
    const sent = this.#direction === "in" || this.#socket.writableFinished;
    return received && sent;
  }

  #writeRefusal(): MigrationError | undefined {
    if (this.#writesAlone) return secondWrite();
    if (this.#direction === "in") return this.#failure("it only gives bytes");
    return this.#ending === undefined ? undefined : this.#failure("write after end");
  }

  #onStall(): void {
    if (this.#pendingWrites === 0) return;
    this.destroy(this.#failure(`the peer took no data for ${this.#stallTimeout / 1000} s`));
  }

  #writeStarted(): void {
    this.#pendingWrites++;
    if (this.#pendingWrites === 1) this.#socket.setTimeout(this.#stallTimeout);
  }

  #writeDone(): void {
    this.#pendingWrites--;
    if (this.#pendingWrites === 0) this.#socket.setTimeout(0);
  }

  /** The first failure is the one that counts: what follows are its consequences. */
  #fail(cause: unknown): MigrationError {
    this.#error ??= systemError(
      isSilence(cause) ? "PEER_SILENT" : "CHANNEL_FAILED",
      `Connection to '${this.peer}' failed`,
      cause,
    );
    this.#wake();
    return this.#error;
  }

  #failure(reason: string, code: ErrorCode = "CHANNEL_FAILED"): MigrationError {
    return new MigrationError(code, `Connection to '${this.peer}' failed: ${reason}`);
  }
}
