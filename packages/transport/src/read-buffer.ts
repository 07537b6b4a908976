import net from "node:net";

/**
 * The first read takes no more than this. Who is refused for how it begins is to notice: a sender that waits for no answer
 * has succeeded, as it sees it, when everything was taken from it.
 */
const FIRST_READ_BYTES = 16 * 1024;

/** Who has sent less has not said what it is. */
const TELLING_BYTES = 4;

/**
 * Where the bytes go that a socket reads: one buffer for as long as it lives, instead of a new one for each read. It is a
 * small one until somebody wants more than what tells the peer's kind: who connects and says nothing, or nothing of
 * sense, is not to cost more.
 */
export class ReadBuffer {
  /** Of a socket's constructor and of `net.connect`. */
  readonly onread: net.OnReadOpts;
  readonly #make: () => Uint8Array;
  #buffer: Uint8Array = new Uint8Array(FIRST_READ_BYTES);
  #isFirst = true;
  #count = 0;
  #bound = Infinity;
  #take: ((bytes: Uint8Array) => void) | undefined;

  /** @param make gives the buffer, once. */
  constructor(make: () => Uint8Array) {
    this.#make = make;
    this.onread = {
      buffer: () => this.#next(),
      callback: (count, read) => {
        this.#count += count;
        this.#take?.(read.subarray(0, count));
        return true;
      },
    };
  }

  /** The next read, and no other one, takes no more than this. */
  boundNext(bytes: number): void {
    this.#bound = bytes;
  }

  #next(): Uint8Array {
    const bound = this.#bound;
    this.#bound = Infinity;
    return bound < this.#buffer.length ? this.#buffer.subarray(0, bound) : this.#buffer;
  }

  /** Somebody waits for more. */
  wanted(): void {
    if (!this.#isFirst || this.#count < TELLING_BYTES) return;
    this.#isFirst = false;
    this.#buffer = this.#make();
  }

  /** @param take gets what was read, and pauses the socket for as long as it needs the bytes. */
  connect(take: (bytes: Uint8Array) => void): void {
    this.#take = take;
  }
}

/**
 * The same connection as a socket that reads into the buffer. Only sockets that this side connects can be told so when
 * they are made, so an accepted one, which nothing was read from, gives its handle to another socket.
 * @returns undefined where that is not possible: it is a socket as any other then.
 */
export function withReadBuffer(socket: net.Socket, reads: ReadBuffer): net.Socket | undefined {
  // Node has no documented name for it.
  const accepted = socket as unknown as { _handle?: object | null };
  const handle = accepted._handle;
  if (socket.destroyed || handle === undefined || handle === null) return undefined;
  const options = { handle, onread: reads.onread, allowHalfOpen: true, manualStart: true };
  const taken = new net.Socket(options as net.SocketConstructorOpts);
  // Otherwise the end of the one would close the other's connection.
  accepted._handle = null;
  return taken;
}
