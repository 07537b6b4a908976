import { defineState } from "../src/index.ts";
import type { StateOf } from "../src/index.ts";

/** A description with every kind of field. Its bytes are in `golden/state.json`. */
export const everything = defineState({
  name: "everything",
  version: 2,
  fields: [
    { name: "flag", type: "bool" },
    { name: "u8", type: "uint8" },
    { name: "i8", type: "int8" },
    { name: "u16", type: "uint16" },
    { name: "i16", type: "int16" },
    { name: "u32", type: "uint32" },
    { name: "i32", type: "int32" },
    { name: "u64", type: "uint64" },
    { name: "i64", type: "int64" },
    { name: "fixed", type: "buffer", length: 2 },
    { name: "length", type: "uint16" },
    { name: "sized", type: "buffer", length: { from: "length", max: 8 } },
    { name: "count", type: "uint16" },
    { name: "words", type: "array", of: "uint16", count: { from: "count", max: 4 } },
    { name: "names", type: "uint8" },
    {
      name: "list",
      type: "array",
      count: { from: "names", max: 4 },
      of: {
        name: "name",
        version: 1,
        fields: [
          { name: "length", type: "uint8" },
          { name: "text", type: "buffer", length: { from: "length", max: 4 } },
        ],
      },
    },
    { name: "none", type: "uint64" },
    {
      name: "pairs",
      type: "array",
      count: 2,
      of: {
        name: "pair",
        version: 1,
        fields: [
          { name: "a", type: "bool" },
          { name: "b", type: "int8" },
        ],
      },
    },
  ],
});

export const everythingValue: StateOf<typeof everything> = {
  flag: true,
  u8: 255,
  i8: -2,
  u16: 0x1234,
  i16: -292,
  u32: 0x89ab_cdef,
  i32: -1,
  u64: 0x0123_4567_89ab_cdefn,
  i64: -1n,
  fixed: Uint8Array.of(0xca, 0xfe),
  length: 3,
  sized: Uint8Array.of(0x00, 0xaa, 0xbb),
  count: 3,
  words: [1, 2, 3],
  names: 2,
  list: [
    { length: 1, text: Uint8Array.of(0x41) },
    { length: 2, text: Uint8Array.of(0x62, 0x62) },
  ],
  none: 5n,
  pairs: [
    { a: true, b: -1 },
    { a: false, b: 0 },
  ],
};
