import { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { ReturnMessage } from "./messages.ts";
import { limitExceeded, locateError, truncated } from "./refusals.ts";
import { RETURN_MESSAGE_TYPE } from "./wire.ts";

const HEAD_BYTES = 4;

/**
 * Reads the return path. Chunks go into {@link push}, messages come out of `message`, in the same call.
 * After an error every call throws that error again.
 */
export class ReturnPathDecoder {
  readonly #limits: Limits;
  readonly #message: (message: ReturnMessage) => void;
  readonly #reader = new ByteReader();
  /** Type and length of the message whose payload comes next. */
  #head: { readonly type: number; readonly length: number } | undefined;
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
      if (this.#head === undefined && this.#reader.available === 0) return;
      const offset = this.#reader.offset + this.#reader.available;
      throw truncated("the rest of a return path message", { offset });
    });
  }

  #step(): boolean {
    const input = this.#reader;
    if (this.#head === undefined) {
      if (input.available < HEAD_BYTES) return false;
      this.#messageAt = input.offset;
      this.#head = this.#checkedHead(input.be16(), input.be16());
    }
    const { type, length } = this.#head;
    if (input.available < length) return false;
    const value = input.be32();
    this.#head = undefined;
    this.#message(
      type === RETURN_MESSAGE_TYPE.shut ? { kind: "shut", status: value } : { kind: "pong", value },
    );
    return true;
  }

  #checkedHead(type: number, length: number): { type: number; length: number } {
    if (type !== RETURN_MESSAGE_TYPE.shut && type !== RETURN_MESSAGE_TYPE.pong) {
      throw new MigrationError("BAD_RETURN_MESSAGE", `Unknown return path message type ${type}`);
    }
    const limit = this.#limits.maxReturnMessageBytes;
    if (length > limit) throw limitExceeded("bytes of return path message", length, limit);
    if (length !== 4) {
      const name = type === RETURN_MESSAGE_TYPE.shut ? "SHUT" : "PONG";
      throw new MigrationError(
        "BAD_RETURN_MESSAGE",
        `Message ${name} has a payload of ${length} bytes instead of 4`,
      );
    }
    return { type, length };
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
