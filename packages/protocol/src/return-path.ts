import { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { ReturnMessage } from "./messages.ts";
import { limitExceeded, locateError, truncated } from "./refusals.ts";
import {
  decodeBitmapBlock,
  decodeReturnPayload,
  requireReturnLength,
  requireReturnType,
} from "./return-message.ts";
import { RECV_BITMAP_END, RETURN_MESSAGE_TYPE } from "./wire.ts";

const HEAD_BYTES = 4;
const BITMAP_END_BYTES = 8;

/** What the next bytes are. */
type Next =
  | { readonly item: "head" }
  | { readonly item: "payload"; readonly type: number; readonly length: number }
  | { readonly item: "bitmap-length"; readonly block: string }
  | { readonly item: "bitmap"; readonly block: string; readonly length: number };

/**
 * Reads the return path. Chunks go into {@link push}, messages come out of `message`, in the same call.
 * After an error every call throws that error again.
 */
export class ReturnPathDecoder {
  readonly #limits: Limits;
  readonly #message: (message: ReturnMessage) => void;
  readonly #reader = new ByteReader();
  #next: Next = { item: "head" };
  #messageAt = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: { readonly limits: Limits; readonly message: (message: ReturnMessage) => void }) {
    this.#limits = options.limits;
    this.#message = options.message;
  }

  /** Offset of the next byte to be read, from the start of the return path. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** The chunk may be used again when the call returns. */
  push(chunk: Uint8Array): void {
    this.#guard(() => {
      this.#reader.push(chunk);
      while (this.#step());
      this.#reader.detach();
    });
  }

  /** The return path was closed. Errors: TRUNCATED in the middle of a message. */
  end(): void {
    this.#guard(() => {
      if (this.#next.item === "head" && this.#reader.available === 0) return;
      const offset = this.#reader.offset + this.#reader.available;
      throw truncated("the rest of a return path message", { offset });
    });
  }

  #step(): boolean {
    const input = this.#reader;
    const next = this.#next;
    switch (next.item) {
      case "head":
        if (input.available < HEAD_BYTES) return false;
        this.#messageAt = input.offset;
        this.#next = this.#payloadOf(input.be16(), input.be16());
        return true;
      case "payload":
        if (input.available < next.length) return false;
        this.#payload(next.type, input.view(next.length));
        return true;
      case "bitmap-length":
        if (input.available < 8) return false;
        this.#next = { item: "bitmap", block: next.block, length: this.#bitmapLength(input.be64()) };
        return true;
      default:
        if (input.available < next.length + BITMAP_END_BYTES) return false;
        this.#bitmap(next.block, new Uint8Array(input.view(next.length)));
        return true;
    }
  }

  #payload(type: number, payload: Uint8Array): void {
    const offset = this.#reader.offset - payload.length;
    if (type === RETURN_MESSAGE_TYPE.recvBitmap) {
      this.#next = { item: "bitmap-length", block: decodeBitmapBlock(payload, offset) };
      return;
    }
    this.#next = { item: "head" };
    this.#message(decodeReturnPayload(type, payload, offset));
  }

  #bitmap(block: string, bitmap: Uint8Array): void {
    if (this.#reader.be32() !== RECV_BITMAP_END.high || this.#reader.be32() !== RECV_BITMAP_END.low) {
      throw new MigrationError("BAD_RETURN_MESSAGE", `The bitmap of '${block}' has no end mark`);
    }
    this.#next = { item: "head" };
    this.#message({ kind: "recv-bitmap", block, bitmap });
  }

  #bitmapLength(length: number): number {
    const limit = this.#limits.maxReceivedBitmapBytes;
    if (length > limit) throw limitExceeded("bytes of bitmap", length, limit);
    if (length % 8 === 0) return length;
    throw new MigrationError("BAD_RETURN_MESSAGE", `A bitmap of ${length} bytes is not padded to 8`);
  }

  #payloadOf(type: number, length: number): Next {
    requireReturnType(type);
    const limit = this.#limits.maxReturnMessageBytes;
    if (length > limit) throw limitExceeded("bytes of return path message", length, limit);
    requireReturnLength(type, length);
    return { item: "payload", type, length };
  }

  #guard(action: () => void): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      action();
    } catch (error) {
      const located = MigrationError.is(error) ? locateError(error, { offset: this.#messageAt }) : error;
      this.#failure = { error: located };
      throw located;
    }
  }
}
