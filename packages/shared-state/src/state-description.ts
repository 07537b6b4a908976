import { MigrationError } from "@peregrine/protocol";

/** Integers of up to 32 bits are numbers, 64-bit integers are bigints, all big-endian on the wire. */
export type ScalarType =
  | "bool"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int8"
  | "int16"
  | "int32"
  | "int64";

/**
 * A fixed number, or the value of an earlier unsigned field of the same structure, which may be `max`
 * at most.
 */
export type Count = number | { readonly from: string; readonly max: number };

/** A field that is a number, or true or false. */
export interface ScalarField {
  readonly name: string;
  readonly type: ScalarType;
}

/** Bytes without a structure. */
export interface BufferField {
  readonly name: string;
  readonly type: "buffer";
  /** Bytes. */
  readonly length: Count;
}

/** A field that is a state of its own. */
export interface StructField {
  readonly name: string;
  readonly type: "struct";
  readonly struct: StateDescription;
}

/** A field that is several values, or several structures, of one kind. */
export interface ArrayField {
  readonly name: string;
  readonly type: "array";
  readonly of: ScalarType | StateDescription;
  /** Elements. */
  readonly count: Count;
}

/** A part of a state. */
export type Field = ScalarField | BufferField | StructField | ArrayField;

/**
 * The layout of a section's payload or of a part of it: plain data that any thread can hold. The bytes
 * and their entry in the vmdescription are both made from it.
 */
export interface StateDescription {
  /** The section's name; for a nested structure, the structure's. */
  readonly name: string;
  readonly version: number;
  readonly fields: readonly Field[];
}

/** State as values: one property for each field of its description. */
export interface StateValue {
  readonly [field: string]: FieldValue;
}

/** The value of a scalar field; 64-bit integers are bigint. */
export type ScalarValue = boolean | number | bigint;

/** The value of a field: of a scalar, of a buffer, of a structure, or of an array of either. */
export type FieldValue = ScalarValue | Uint8Array | StateValue | readonly (ScalarValue | StateValue)[];

type ScalarOf<T> = T extends "bool" ? boolean : T extends "uint64" | "int64" ? bigint : number;

type ElementOf<E> = E extends StateDescription ? StateOf<E> : ScalarOf<E>;

type ValueOf<F extends Field> = F extends BufferField
  ? Uint8Array
  : F extends StructField
    ? StateOf<F["struct"]>
    : F extends ArrayField
      ? readonly ElementOf<F["of"]>[]
      : ScalarOf<F["type"]>;

/** The type of the values that a description made by {@link defineState} takes. */
export type StateOf<D extends StateDescription> = {
  readonly [F in D["fields"][number] as F["name"]]: ValueOf<F>;
};

/** Bytes of a scalar. */
export const SCALAR_BYTES: Readonly<Record<ScalarType, number>> = {
  bool: 1,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
};

const UNSIGNED: ReadonlySet<string> = new Set(["uint8", "uint16", "uint32", "uint64"]);
const MAX_DEPTH = 8;

/**
 * Checks a description and keeps its exact type, for {@link StateOf}.
 * Errors: INTERNAL, because a description is part of the program.
 */
export function defineState<const D extends StateDescription>(description: D): D {
  checkDescription(description, description.name, 1);
  return description;
}

/** Whether the bytes of every value have the same layout. */
export function hasFixedLayout(description: StateDescription): boolean {
  return description.fields.every((field) => {
    switch (field.type) {
      case "buffer":
        return typeof field.length === "number";
      case "struct":
        return hasFixedLayout(field.struct);
      case "array":
        return typeof field.count === "number" && (typeof field.of === "string" || hasFixedLayout(field.of));
      default:
        return true;
    }
  });
}

function checkDescription(description: StateDescription, path: string, depth: number): void {
  if (depth > MAX_DEPTH) throw wrong(path, `nests deeper than ${MAX_DEPTH} levels`);
  const earlier = new Map<string, Field>();
  for (const field of description.fields) {
    const here = `${path}.${field.name}`;
    if (earlier.has(field.name)) throw wrong(here, "is there twice");
    if (field.type === "buffer") checkCount(field.length, earlier, here);
    if (field.type === "struct") checkDescription(field.struct, here, depth + 1);
    if (field.type === "array") {
      checkCount(field.count, earlier, here);
      if (typeof field.of !== "string") checkDescription(field.of, here, depth + 1);
      // Elements without bytes would let a peer make any number of them at no cost.
      if (minimumBytes(field.of) === 0) throw wrong(here, "has elements that may be empty");
    }
    earlier.set(field.name, field);
  }
}

function checkCount(count: Count, earlier: ReadonlyMap<string, Field>, path: string): void {
  const limit = typeof count === "number" ? count : count.max;
  if (!Number.isSafeInteger(limit) || limit < 0) throw wrong(path, `cannot hold ${limit} elements`);
  if (typeof count === "number") return;
  const source = earlier.get(count.from);
  if (source === undefined)
    throw wrong(path, `takes its length from '${count.from}', which is not an earlier field`);
  if (!UNSIGNED.has(source.type))
    throw wrong(path, `takes its length from '${count.from}', which is not unsigned`);
}

function minimumBytes(layout: ScalarType | StateDescription): number {
  if (typeof layout === "string") return SCALAR_BYTES[layout];
  return layout.fields.reduce((sum, field) => {
    switch (field.type) {
      case "buffer":
        return sum + (typeof field.length === "number" ? field.length : 0);
      case "struct":
        return sum + minimumBytes(field.struct);
      case "array":
        return sum + (typeof field.count === "number" ? field.count * minimumBytes(field.of) : 0);
      default:
        return sum + SCALAR_BYTES[field.type];
    }
  }, 0);
}

function wrong(path: string, what: string): MigrationError {
  return new MigrationError("INTERNAL", `the state description '${path}' ${what}`);
}
