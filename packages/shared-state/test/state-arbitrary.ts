import * as fc from "fast-check";
import type { Count, Field, FieldValue, ScalarType, StateDescription, StateValue } from "../src/index.ts";

const MAX_LENGTH = 5;
const MAX_DEPTH = 2;

const scalarType = fc.constantFrom<ScalarType>(
  "bool",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "int8",
  "int16",
  "int32",
  "int64",
);
const unsignedType = fc.constantFrom<ScalarType>("uint8", "uint16", "uint32", "uint64");

/** Fields of a structure before they have their names: one, or a length and what has that length. */
type Unnamed = (name: string) => Field[];

const counted = fc.option(unsignedType, { nil: undefined });

function countOf(length: ScalarType | undefined, name: string): { fields: Field[]; count: Count } {
  if (length === undefined) return { fields: [], count: 3 };
  return {
    fields: [{ name: `${name}-length`, type: length as "uint8" }],
    count: { from: `${name}-length`, max: MAX_LENGTH },
  };
}

function unnamed(depth: number): fc.Arbitrary<Unnamed> {
  const scalar = scalarType.map<Unnamed>((type) => (name) => [{ name, type }]);
  const buffer = counted.map<Unnamed>((length) => (name) => {
    const { fields, count } = countOf(length, name);
    return [...fields, { name, type: "buffer", length: count }];
  });
  const element = depth === 0 ? scalarType : fc.oneof(scalarType, structure(depth - 1));
  const array = fc.tuple(counted, element).map<Unnamed>(([length, of]) => (name) => {
    const { fields, count } = countOf(length, name);
    return [...fields, { name, type: "array", of, count }];
  });
  if (depth === 0) return fc.oneof(scalar, buffer, array);
  const struct = structure(depth - 1).map<Unnamed>((inner) => (name) => [
    { name, type: "struct", struct: inner },
  ]);
  return fc.oneof(scalar, buffer, array, struct);
}

function structure(depth: number): fc.Arbitrary<StateDescription> {
  return fc.array(unnamed(depth), { maxLength: 4 }).map((parts) => ({
    name: `level-${depth}`,
    version: 1,
    // The first field makes sure that no structure is without bytes.
    fields: [{ name: "first", type: "uint8" }, ...parts.flatMap((part, n) => part(`field-${n}`))],
  }));
}

function scalarValue(type: ScalarType): fc.Arbitrary<FieldValue> {
  switch (type) {
    case "bool":
      return fc.boolean();
    case "uint64":
      return fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    case "int64":
      return fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
    default: {
      const values = 2 ** Number(type.replace(/\D/g, ""));
      const min = type.startsWith("u") ? 0 : -values / 2;
      return fc.integer({ min, max: min + values - 1 });
    }
  }
}

function sized(count: Count): { minLength: number; maxLength: number } {
  return typeof count === "number"
    ? { minLength: count, maxLength: count }
    : { minLength: 0, maxLength: count.max };
}

function fieldValue(field: Field): fc.Arbitrary<FieldValue> {
  switch (field.type) {
    case "buffer":
      return fc.uint8Array(sized(field.length));
    case "struct":
      return structValue(field.struct);
    case "array":
      return fc.array(
        typeof field.of === "string" ? scalarValue(field.of) : structValue(field.of),
        sized(field.count),
      ) as fc.Arbitrary<FieldValue>;
    default:
      return scalarValue(field.type);
  }
}

/** Values for all fields; the lengths are then made right. */
function structValue(description: StateDescription): fc.Arbitrary<StateValue> {
  const arbitraries = Object.fromEntries(description.fields.map((field) => [field.name, fieldValue(field)]));
  return fc.record(arbitraries).map((value) => {
    const right: Record<string, FieldValue> = { ...value };
    for (const field of description.fields) {
      const count = field.type === "buffer" ? field.length : field.type === "array" ? field.count : 0;
      if (typeof count === "number") continue;
      const source = description.fields.find((other) => other.name === count.from)!;
      const { length } = right[field.name] as Uint8Array;
      right[count.from] = source.type === "uint64" ? BigInt(length) : length;
    }
    return right;
  });
}

/** A description of any shape, with a value that fits it. */
export const stateWithValue: fc.Arbitrary<{ description: StateDescription; value: StateValue }> = structure(
  MAX_DEPTH,
).chain((description) => structValue(description).map((value) => ({ description, value })));
