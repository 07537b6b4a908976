import { MigrationError } from "@peregrine/protocol";
import type { ByteReader, PayloadDecoder } from "@peregrine/protocol";
import { SCALAR_BYTES } from "./state-description.ts";
import type {
  ArrayField,
  BufferField,
  Count,
  FieldValue,
  ScalarType,
  ScalarValue,
  StateDescription,
  StateValue,
} from "./state-description.ts";

const FIRST_BUFFER_BYTES = 65_536;

/** Runs until bytes are missing and says then what it waits for. */
type Steps<T> = Generator<string, T, void>;

/**
 * Reads a section's payload by its description, in whatever pieces it arrives. Lengths that the peer
 * names are checked against the description's limits, and memory is taken only as bytes arrive.
 *
 * Errors of `decode`: LIMIT_EXCEEDED, BAD_SECTION.
 */
export class StateDecoder implements PayloadDecoder {
  readonly #description: StateDescription;
  readonly #steps: Steps<StateValue>;
  #input: ByteReader | undefined;
  #value: StateValue | undefined;
  #awaiting = "the section's payload";

  constructor(description: StateDescription) {
    this.#description = description;
    this.#steps = this.#struct(description, description.name);
  }

  /** What was read. Errors: INTERNAL before `decode` returned true. */
  get value(): StateValue {
    if (this.#value !== undefined) return this.#value;
    throw new MigrationError("INTERNAL", `the state of '${this.#description.name}' is not complete`);
  }

  get awaiting(): string {
    return this.#awaiting;
  }

  decode(input: ByteReader): boolean {
    if (this.#value !== undefined) return true;
    this.#input = input;
    const step = this.#steps.next();
    this.#input = undefined;
    if (step.done === true) this.#value = step.value;
    else this.#awaiting = step.value;
    return step.done === true;
  }

  *#struct(description: StateDescription, path: string): Steps<StateValue> {
    const value: Record<string, FieldValue> = {};
    for (const field of description.fields) {
      const here = `${path}.${field.name}`;
      switch (field.type) {
        case "buffer":
          value[field.name] = yield* this.#buffer(field, value, here);
          break;
        case "struct":
          value[field.name] = yield* this.#struct(field.struct, here);
          break;
        case "array":
          value[field.name] = yield* this.#array(field, value, here);
          break;
        default:
          while (this.#reader.available < SCALAR_BYTES[field.type]) yield here;
          value[field.name] = this.#scalar(field.type, here);
      }
    }
    return value;
  }

  *#array(field: ArrayField, parent: StateValue, path: string): Steps<(ScalarValue | StateValue)[]> {
    const count = this.#count(field.count, parent, path);
    const elements: (ScalarValue | StateValue)[] = [];
    const { of } = field;
    while (elements.length < count) {
      if (typeof of === "string") {
        while (this.#reader.available < SCALAR_BYTES[of]) yield path;
        elements.push(this.#scalar(of, path));
      } else {
        elements.push(yield* this.#struct(of, `${path}[${elements.length}]`));
      }
    }
    return elements;
  }

  *#buffer(field: BufferField, parent: StateValue, path: string): Steps<Uint8Array> {
    const length = this.#count(field.length, parent, path);
    let bytes = new Uint8Array(Math.min(length, FIRST_BUFFER_BYTES));
    for (let filled = 0; filled < length;) {
      while (this.#reader.available === 0) yield path;
      if (filled === bytes.length) {
        const grown = new Uint8Array(Math.min(length, 2 * filled));
        grown.set(bytes);
        bytes = grown;
      }
      const piece = this.#reader.some(bytes.length - filled);
      bytes.set(piece, filled);
      filled += piece.length;
    }
    return bytes;
  }

  #scalar(type: ScalarType, path: string): ScalarValue {
    const input = this.#reader;
    switch (type) {
      case "bool": {
        const byte = input.u8();
        if (byte > 1) throw this.#error("BAD_SECTION", `'${path}' is ${byte} where 0 or 1 is expected`);
        return byte === 1;
      }
      case "uint8":
        return input.u8();
      case "int8":
        return (input.u8() << 24) >> 24;
      case "uint16":
        return input.be16();
      case "int16":
        return (input.be16() << 16) >> 16;
      case "uint32":
        return input.be32();
      case "int32":
        return input.be32() | 0;
      default: {
        const bits = (BigInt(input.be32()) << 32n) | BigInt(input.be32());
        return type === "int64" ? BigInt.asIntN(64, bits) : bits;
      }
    }
  }

  #count(count: Count, parent: StateValue, path: string): number {
    if (typeof count === "number") return count;
    const said = parent[count.from] as number | bigint;
    if (said > count.max) {
      throw this.#error(
        "LIMIT_EXCEEDED",
        `the length ${said} of '${path}' is more than the limit of ${count.max}`,
      );
    }
    return Number(said);
  }

  get #reader(): ByteReader {
    return this.#input!;
  }

  #error(code: "BAD_SECTION" | "LIMIT_EXCEEDED", message: string): MigrationError {
    return new MigrationError(code, message, {
      section: this.#description.name,
      offset: this.#reader.offset,
    });
  }
}
