/**
 * The instruction set as tables: what immediates follow an opcode, and what it pops and pushes.
 * Prefixed opcodes are numbered `prefix << 16 | sub-opcode`. Source: WebAssembly core specification 2.0, appendix "Index of Instructions",
 * and the tail-call and relaxed-SIMD extensions.
 */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;

/** Value types that can be saved, in the order in which a frame holds them. */
export const SAVABLE = [I32, I64, F32, F64, V128] as const;

export const op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  rethrow: 0x09,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableGet: 0x25,
  tableSet: 0x26,
  i32Load: 0x28,
  i32Store: 0x36,
  i64Store32: 0x3e,
  i32Store8: 0x3a,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtU: 0x49,
  i32GtU: 0x4b,
  i32GeU: 0x4f,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32And: 0x71,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i64Ne: 0x52,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64And: 0x83,
  refNull: 0xd0,
  refIsNull: 0xd1,
  refFunc: 0xd2,
  memoryInit: 0xfc0008,
  dataDrop: 0xfc0009,
  memoryCopy: 0xfc000a,
  memoryFill: 0xfc000b,
  tableInit: 0xfc000c,
  elemDrop: 0xfc000d,
  tableCopy: 0xfc000e,
  tableGrow: 0xfc000f,
  tableSize: 0xfc0010,
  tableFill: 0xfc0011,
  v128Store: 0xfd000b,
} as const;

export const BLOCK_VOID = 0x40;

/** What follows the opcode. `index` stands for one u32, `index2` for two. */
export type Immediates =
  | "none"
  | "index"
  | "index2"
  | "block"
  | "memory"
  | "memoryLane"
  | "lane"
  | "leb"
  | "bytes4"
  | "bytes8"
  | "bytes16"
  | "labels"
  | "types"
  | "heap";

export interface OpInfo {
  readonly immediates: Immediates;
  /** Types popped (last one on top) and pushed; undefined where they depend on the module or on the stack. */
  readonly pops: readonly number[] | undefined;
  readonly pushes: readonly number[] | undefined;
  /** Bytes stored at `address + offset`, where the address lies under the stored value. 0: not a store. */
  readonly stores: number;
}

const LETTERS: Record<string, number> = { i: I32, l: I64, f: F32, d: F64, v: V128, r: FUNCREF };
const types = (letters: string): number[] => Array.from(letters, (letter) => LETTERS[letter]!);

/** By opcode: those of one byte, and those with a prefix. */
const SHORT: (OpInfo | undefined)[] = Array.from({ length: 0x100 }, () => undefined);
const PREFIXED = new Map<number, OpInfo>();

/** `signature` is "pops>pushes" in letters, or "?" where it depends. */
function define(from: number, to: number, immediates: Immediates, signature: string, stores = 0): void {
  const [pops, pushes] = signature === "?" ? [undefined, undefined] : signature.split(">").map(types);
  for (let code = from; code <= to; code++) {
    const info = { immediates, pops, pushes, stores };
    if (code < SHORT.length) SHORT[code] = info;
    else PREFIXED.set(code, info);
  }
}

/** Rows of [first opcode, last opcode, signature]. */
function defineAll(
  prefix: number,
  immediates: Immediates,
  rows: readonly (readonly [number, number, string])[],
): void {
  for (const [from, to, signature] of rows) define(prefix + from, prefix + to, immediates, signature);
}

defineAll(0, "none", [
  [0x00, 0x00, "?"],
  [0x01, 0x01, ">"],
  [0x05, 0x05, "?"],
  [0x0b, 0x0b, "?"],
  [0x0f, 0x0f, "?"],
  [0x1a, 0x1b, "?"],
  [0xd1, 0xd1, "r>i"],
]);
defineAll(0, "block", [[0x02, 0x04, "?"]]);
defineAll(0, "index", [
  [0x0c, 0x0d, "?"],
  [0x10, 0x10, "?"],
  [0x12, 0x12, "?"],
  [0x20, 0x26, "?"],
  [0x3f, 0x3f, ">i"],
  [0x40, 0x40, "i>i"],
  [0xd2, 0xd2, ">r"],
]);
defineAll(0, "index2", [
  [0x11, 0x11, "?"],
  [0x13, 0x13, "?"],
]);
define(0x0e, 0x0e, "labels", "?");
define(0x1c, 0x1c, "types", "?");
define(0xd0, 0xd0, "heap", "?");
defineAll(0, "memory", [
  [0x28, 0x28, "i>i"],
  [0x29, 0x29, "i>l"],
  [0x2a, 0x2a, "i>f"],
  [0x2b, 0x2b, "i>d"],
  [0x2c, 0x2f, "i>i"],
  [0x30, 0x35, "i>l"],
]);
for (const [code, value, size] of [
  [0x36, "i", 4],
  [0x37, "l", 8],
  [0x38, "f", 4],
  [0x39, "d", 8],
  [0x3a, "i", 1],
  [0x3b, "i", 2],
  [0x3c, "l", 1],
  [0x3d, "l", 2],
  [0x3e, "l", 4],
] as const)
  define(code, code, "memory", `i${value}>`, size);
defineAll(0, "leb", [
  [0x41, 0x41, ">i"],
  [0x42, 0x42, ">l"],
]);
define(0x43, 0x43, "bytes4", ">f");
define(0x44, 0x44, "bytes8", ">d");
defineAll(0, "none", [
  [0x45, 0x45, "i>i"],
  [0x46, 0x4f, "ii>i"],
  [0x50, 0x50, "l>i"],
  [0x51, 0x5a, "ll>i"],
  [0x5b, 0x60, "ff>i"],
  [0x61, 0x66, "dd>i"],
  [0x67, 0x69, "i>i"],
  [0x6a, 0x78, "ii>i"],
  [0x79, 0x7b, "l>l"],
  [0x7c, 0x8a, "ll>l"],
  [0x8b, 0x91, "f>f"],
  [0x92, 0x98, "ff>f"],
  [0x99, 0x9f, "d>d"],
  [0xa0, 0xa6, "dd>d"],
  [0xa7, 0xa7, "l>i"],
  [0xa8, 0xa9, "f>i"],
  [0xaa, 0xab, "d>i"],
  [0xac, 0xad, "i>l"],
  [0xae, 0xaf, "f>l"],
  [0xb0, 0xb1, "d>l"],
  [0xb2, 0xb3, "i>f"],
  [0xb4, 0xb5, "l>f"],
  [0xb6, 0xb6, "d>f"],
  [0xb7, 0xb8, "i>d"],
  [0xb9, 0xba, "l>d"],
  [0xbb, 0xbb, "f>d"],
  [0xbc, 0xbc, "f>i"],
  [0xbd, 0xbd, "d>l"],
  [0xbe, 0xbe, "i>f"],
  [0xbf, 0xbf, "l>d"],
  [0xc0, 0xc1, "i>i"],
  [0xc2, 0xc4, "l>l"],
]);

const FC = 0xfc0000;
defineAll(FC, "none", [
  [0, 1, "f>i"],
  [2, 3, "d>i"],
  [4, 5, "f>l"],
  [6, 7, "d>l"],
]);
defineAll(FC, "index2", [
  [8, 8, "iii>"],
  [10, 10, "iii>"],
  [12, 12, "iii>"],
  [14, 14, "iii>"],
]);
defineAll(FC, "index", [
  [9, 9, ">"],
  [11, 11, "iii>"],
  [13, 13, ">"],
  [15, 15, "ri>i"],
  [16, 16, ">i"],
  [17, 17, "iri>"],
]);

const FD = 0xfd0000;
defineAll(FD, "memory", [
  [0, 10, "i>v"],
  [92, 93, "i>v"],
]);
define(FD + 11, FD + 11, "memory", "iv>", 16);
define(FD + 12, FD + 12, "bytes16", ">v");
define(FD + 13, FD + 13, "bytes16", "vv>v");
define(FD + 84, FD + 87, "memoryLane", "iv>v");
for (let lane = 0; lane < 4; lane++) define(FD + 88 + lane, FD + 88 + lane, "memoryLane", "iv>", 1 << lane);
defineAll(FD, "lane", [
  [21, 22, "v>i"],
  [23, 23, "vi>v"],
  [24, 25, "v>i"],
  [26, 26, "vi>v"],
  [27, 27, "v>i"],
  [28, 28, "vi>v"],
  [29, 29, "v>l"],
  [30, 30, "vl>v"],
  [31, 31, "v>f"],
  [32, 32, "vf>v"],
  [33, 33, "v>d"],
  [34, 34, "vd>v"],
]);
defineAll(FD, "none", [
  [14, 14, "vv>v"],
  [15, 17, "i>v"],
  [18, 18, "l>v"],
  [19, 19, "f>v"],
  [20, 20, "d>v"],
  [35, 76, "vv>v"],
  [77, 77, "v>v"],
  [78, 81, "vv>v"],
  [82, 82, "vvv>v"],
  [83, 83, "v>i"],
  [94, 98, "v>v"],
  [99, 100, "v>i"],
  [101, 102, "vv>v"],
  [103, 106, "v>v"],
  [107, 109, "vi>v"],
  [110, 115, "vv>v"],
  [116, 117, "v>v"],
  [118, 121, "vv>v"],
  [122, 122, "v>v"],
  [123, 123, "vv>v"],
  [124, 129, "v>v"],
  [130, 130, "vv>v"],
  [131, 132, "v>i"],
  [133, 134, "vv>v"],
  [135, 138, "v>v"],
  [139, 141, "vi>v"],
  [142, 147, "vv>v"],
  [148, 148, "v>v"],
  [149, 153, "vv>v"],
  [155, 159, "vv>v"],
  [160, 161, "v>v"],
  [163, 164, "v>i"],
  [167, 170, "v>v"],
  [171, 173, "vi>v"],
  [174, 174, "vv>v"],
  [177, 177, "vv>v"],
  [181, 186, "vv>v"],
  [188, 191, "vv>v"],
  [192, 193, "v>v"],
  [195, 196, "v>i"],
  [199, 202, "v>v"],
  [203, 205, "vi>v"],
  [206, 206, "vv>v"],
  [209, 209, "vv>v"],
  [213, 223, "vv>v"],
  [224, 225, "v>v"],
  [227, 227, "v>v"],
  [228, 235, "vv>v"],
  [236, 237, "v>v"],
  [239, 239, "v>v"],
  [240, 247, "vv>v"],
  [248, 255, "v>v"],
  [256, 256, "vv>v"],
  [257, 260, "v>v"],
  [261, 268, "vvv>v"],
  [269, 274, "vv>v"],
  [275, 275, "vvv>v"],
]);
// The splats of 64-bit and float lanes are 18..20 above; 17 is i32x4.splat, 15 and 16 are the 8- and 16-bit ones.

export const opInfo = (code: number): OpInfo | undefined =>
  code < SHORT.length ? SHORT[code] : PREFIXED.get(code);

/** Why an opcode is not in the table, for the refusal. */
export function unsupportedFeature(code: number): string {
  const prefix = code >>> 16;
  if (prefix === 0xfe) return "atomic instructions (guest threads)";
  if (prefix === 0xfb) return "garbage-collected objects";
  if ([0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f].includes(code)) return "exception handling";
  if (code === 0x14 || code === 0x15 || code === 0xd3 || code === 0xd4 || code === 0xd5 || code === 0xd6)
    return "typed function references";
  return `the instruction 0x${code.toString(16)}`;
}
