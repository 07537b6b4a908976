import * as fc from "fast-check";

/** An input to begin with. */
export interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** For each kind of item, the offsets at which one ends. Lengths, counts and flags lie around them. */
  readonly ends: readonly (readonly number[])[];
}

/** A place in an input of any length. Numbers are taken modulo how many there are. */
type Place =
  | { readonly anywhere: number }
  /** So many bytes from the end of an item. */
  | { readonly kind: number; readonly item: number; readonly distance: number };

/** A part of an input; its length is cut down to what there is. */
interface Range {
  readonly at: Place;
  readonly length: number;
}

export type Mutation =
  | { readonly kind: "flip"; readonly at: Place; readonly bit: number }
  | { readonly kind: "set"; readonly at: Place; readonly bytes: Uint8Array }
  | {
      readonly kind: "number";
      readonly at: Place;
      /** Bytes of it. It is big-endian. */
      readonly width: 2 | 4 | 8;
      readonly value: bigint;
      /** Whether the value is added to what is there. */
      readonly add: boolean;
    }
  | { readonly kind: "insert"; readonly at: Place; readonly bytes: Uint8Array; readonly times: number }
  | { readonly kind: "remove"; readonly range: Range }
  | { readonly kind: "duplicate"; readonly range: Range; readonly to: Place }
  | { readonly kind: "swap"; readonly first: Range; readonly second: Range }
  /** Takes a range from another input. */
  | { readonly kind: "splice"; readonly donor: number; readonly range: Range; readonly to: Place }
  | { readonly kind: "cut"; readonly at: Place };

/** Small numbers are no more likely than others: the first places are all in the head of a stream. */
const any = fc.noBias(fc.nat());
const distance = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: -9, max: 9 }) },
  { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
);
const place: fc.Arbitrary<Place> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: any, item: any, distance }) },
  { weight: 1, arbitrary: fc.record({ anywhere: any }) },
);
const range: fc.Arbitrary<Range> = fc.record({
  at: place,
  length: fc.oneof(fc.nat(16), fc.nat(5000), fc.nat(200_000)),
});

/** What lengths, counts and offsets go wrong with. */
const value: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(0n, 1n, 0x7fn, 0x80n, 0xffn, 0xffffn, 0x7fff_ffffn, 0xffff_ffffn, 0x1000n, 0x10_0000n),
  fc.constantFrom(2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  fc.integer({ min: -300, max: 300 }).map(BigInt),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

/** How items of all kinds begin, to come where none of them is expected. */
const SECTION_TYPES = ["00", "01", "02", "03", "04", "05", "06", "07", "08", "7e", "ff"];
const HEADS = ["0006", "0800010000", "080007000400000040", "5145564d00000003"];
const RAM_WORDS = ["0000000000000010", "0000000000000022", "0000000000000200", "0000000000000004"];
const head = fc
  .constantFrom(...SECTION_TYPES, ...HEADS, ...RAM_WORDS)
  .map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
const fewBytes = fc.uint8Array({ minLength: 1, maxLength: 8 });

function kind<Kind extends string>(name: Kind): fc.Arbitrary<Kind> {
  return fc.constant(name);
}

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: kind("flip"), at: place, bit: fc.nat(7) }),
  fc.record({ kind: kind("set"), at: place, bytes: fewBytes }),
  fc.record({
    kind: kind("number"),
    at: place,
    width: fc.constantFrom(2, 4, 8),
    value,
    add: fc.boolean(),
  }),
  fc.record({
    kind: kind("insert"),
    at: place,
    bytes: fc.oneof(head, fewBytes),
    times: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(20_000) }),
  }),
  fc.record({ kind: kind("remove"), range }),
  fc.record({ kind: kind("duplicate"), range, to: place }),
  fc.record({ kind: kind("swap"), first: range, second: range }),
  fc.record({ kind: kind("splice"), donor: any, range, to: place }),
  fc.record({ kind: kind("cut"), at: place }),
);

export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, { maxLength: 5 });

/** Sizes of chunks; what they leave of an input is the last one. */
export const chunkSizes: fc.Arbitrary<readonly number[]> = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })),
  { maxLength: 40 },
);

/** @param donors where splices take from. */
export function mutate(
  sample: Sample,
  changes: readonly Mutation[],
  donors: readonly Sample[] = [sample],
): Uint8Array {
  let { bytes } = sample;
  for (const change of changes) bytes = apply({ ...sample, bytes }, change, donors);
  return bytes;
}

function apply(sample: Sample, change: Mutation, donors: readonly Sample[]): Uint8Array {
  const { bytes } = sample;
  switch (change.kind) {
    case "flip": {
      const at = placeIn(sample, change.at);
      return replaced(bytes, at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << change.bit)));
    }
    case "set":
      return replaced(bytes, placeIn(sample, change.at), change.bytes);
    case "number": {
      const at = placeIn(sample, change.at);
      const old = change.add ? numberAt(bytes, at, change.width) : 0n;
      return replaced(bytes, at, numberBytes(old + change.value, change.width));
    }
    case "insert":
      return inserted(bytes, placeIn(sample, change.at), repeated(change.bytes, change.times));
    case "remove": {
      const [from, to] = rangeIn(sample, change.range);
      return join(bytes.subarray(0, from), bytes.subarray(to));
    }
    case "duplicate":
      return inserted(bytes, placeIn(sample, change.to), bytes.subarray(...rangeIn(sample, change.range)));
    case "swap":
      return swapped(bytes, rangeIn(sample, change.first), rangeIn(sample, change.second));
    case "splice": {
      const donor = donors[change.donor % donors.length]!;
      const part = donor.bytes.subarray(...rangeIn(donor, change.range));
      return inserted(bytes, placeIn(sample, change.to), part);
    }
    default:
      return bytes.subarray(0, placeIn(sample, change.at));
  }
}

/** An index from 0 to the length of the input. */
function placeIn({ bytes, ends }: Sample, at: Place): number {
  if ("anywhere" in at) return at.anywhere % (bytes.length + 1);
  const ofKind = ends[at.kind % Math.max(1, ends.length)] ?? [];
  const end = ofKind[at.item % Math.max(1, ofKind.length)] ?? 0;
  return Math.min(bytes.length, Math.max(0, end + at.distance));
}

type Extent = readonly [from: number, to: number];

function rangeIn(sample: Sample, { at, length }: Range): Extent {
  const from = placeIn(sample, at);
  return [from, Math.min(sample.bytes.length, from + length)];
}

function replaced(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, at), by, bytes.subarray(at + by.length));
}

function inserted(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, at), part, bytes.subarray(at));
}

function swapped(bytes: Uint8Array, one: Extent, other: Extent): Uint8Array {
  const [first, second] = one[0] <= other[0] ? [one, other] : [other, one];
  // Where they overlap, the second one is what the first one leaves.
  const from = Math.max(first[1], second[0]);
  const to = Math.max(first[1], second[1]);
  const between = bytes.subarray(first[1], from);
  const parts = [bytes.subarray(from, to), between, bytes.subarray(...first), bytes.subarray(to)];
  return join(bytes.subarray(0, first[0]), ...parts);
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  return Uint8Array.from({ length: bytes.length * times }, (_, at) => bytes[at % bytes.length]!);
}

/** What is missing at the end of the input is 0. */
function numberAt(bytes: Uint8Array, at: number, width: number): bigint {
  let number = 0n;
  for (let index = at; index < at + width; index += 1) number = number * 256n + BigInt(bytes[index] ?? 0);
  return number;
}

function numberBytes(number: bigint, width: number): Uint8Array {
  const hex = BigInt.asUintN(8 * width, number).toString(16);
  return Buffer.from(hex.padStart(2 * width, "0"), "hex");
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
