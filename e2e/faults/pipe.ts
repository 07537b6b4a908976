import type { Socket } from "node:net";

/** How bytes are passed on. */
export type Passing =
  | { readonly kind: "all" }
  /** Nothing is read any more. */
  | { readonly kind: "nothing" }
  /** Read, and thrown away. */
  | { readonly kind: "dropped" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** Single bytes, `left` of them, and then pieces of sizes that `size` gives. */
  | { readonly kind: "split"; left: number; readonly size: () => number };

const SLOW_TICK_MS = 10;

/** Who looks at what goes through. */
export interface PipeWatch {
  /** Called with each chunk as it comes, before any of it passes. */
  read(bytes: Uint8Array): void;
  /** How many of the next `bytes` may pass before the fault strikes; undefined when it does not strike among them. */
  room(bytes: number): number | undefined;
  passed(bytes: number): void;
  /** May change everything about the pipe. */
  strike(): void;
}

/** One direction of a connection. Bytes are given to the kernel one by one where that matters. */
export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #watch: PipeWatch;
  #passing: Passing = { kind: "all" };
  /** Read and not passed on. At most one chunk: nothing is read meanwhile. */
  #held: Buffer = Buffer.alloc(0);
  #ended = false;
  #pumping = false;
  /** Flips bits of the next byte. */
  mask = 0;

  constructor(from: Socket, to: Socket, watch: PipeWatch) {
    this.#from = from;
    this.#to = to;
    this.#watch = watch;
    this.#from.on("data", (chunk: Buffer) => {
      watch.read(chunk);
      this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
      this.#from.pause();
      void this.#pump();
    });
    this.#from.on("end", () => {
      this.#ended = true;
      void this.#pump();
    });
  }

  get passing(): Passing {
    return this.#passing;
  }

  set passing(passing: Passing) {
    this.#passing = passing;
    void this.#pump();
  }

  /** The receiver sees the end; what the sender still sends is dropped. */
  close(): void {
    this.passing = { kind: "dropped" };
    this.#to.end();
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#held.length > 0 && this.#passing.kind !== "nothing") await this.#piece();
      if (this.#held.length > 0) return;
      if (!this.#ended) this.#from.resume();
      else if (this.#passing.kind !== "nothing") this.#to.end();
    } finally {
      this.#pumping = false;
    }
  }

  async #piece(): Promise<void> {
    const passing = this.#passing;
    const most = this.#held.subarray(0, pieceOf(passing, this.#held.length));
    const room = this.#watch.room(most.length);
    if (room === 0) {
      this.#watch.strike();
      return;
    }
    const piece = most.subarray(0, room);
    this.#held = this.#held.subarray(piece.length);
    // What is dropped does not reach anybody.
    if (passing.kind === "dropped") return;
    this.#watch.passed(piece.length);
    await this.#write(piece);
    if (passing.kind === "slow") await new Promise((resolve) => setTimeout(resolve, SLOW_TICK_MS));
    if (passing.kind === "split") await new Promise((resolve) => setImmediate(resolve));
  }

  async #write(piece: Buffer): Promise<void> {
    if (this.#to.destroyed || this.#to.writableEnded) return;
    const bytes = this.mask === 0 ? piece : Buffer.from(piece);
    bytes[0]! ^= this.mask;
    this.mask = 0;
    if (this.#to.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        this.#to.off("drain", goOn);
        this.#to.off("close", goOn);
        resolve();
      };
      this.#to.on("drain", goOn);
      this.#to.on("close", goOn);
    });
  }
}

/** Takes back what the peer has not read, where the kind of socket can do that. */
export function breakOff(socket: Socket): void {
  if (socket.remotePort === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

function pieceOf(passing: Passing, available: number): number {
  switch (passing.kind) {
    case "slow":
      return Math.min(available, Math.max(1, Math.floor((passing.bytesPerSecond * SLOW_TICK_MS) / 1000)));
    case "split":
      if (passing.left > 0) {
        passing.left--;
        return 1;
      }
      return Math.min(available, passing.size());
    default:
      return available;
  }
}
