import { BinaryReader } from "./binary.ts";
import { describeFunction } from "./function-name.ts";
import { type FunctionType, readValueType, refuse, type WasmModule } from "./module.ts";
import { BLOCK_VOID, EXTERNREF, FUNCREF, op, opInfo, SAVABLE, unsupportedFeature } from "./opcodes.ts";

/** A defined function as a list of instructions over the module's bytes; nothing is copied. */
export interface FunctionCode {
  /** Index in the function index space. */
  readonly index: number;
  readonly type: FunctionType;
  /** Types of parameters and locals. */
  readonly locals: readonly number[];
  readonly bytes: Uint8Array;
  /** Number of instructions; the last one is the function's own end. */
  readonly count: number;
  readonly code: Uint32Array;
  /** Offset of each instruction; one more entry for the end of the body. */
  readonly start: Uint32Array;
  /** First immediate: label, local, function or type index, constant; for br_table the offset of its labels. */
  readonly immediate: Int32Array;
  /** For block, loop and if: the instruction that ends it; for if with an else, see `elseOf`. For br_if etc. 0. */
  readonly end: Uint32Array;
  /** For end: the block, loop or if that it closes. */
  readonly opener: Uint32Array;
  /** For if: its else, 0 when there is none. */
  readonly elseOf: Uint32Array;
  /** 1 for a loop that something branches back to. */
  readonly repeats: Uint8Array;
  readonly calls: ReadonlySet<number>;
  readonly tailCalls: ReadonlySet<number>;
  /** Type indexes of indirect calls. */
  readonly indirect: ReadonlySet<number>;
  readonly indirectTail: ReadonlySet<number>;
  readonly hasLoop: boolean;
  /** Uses an instruction that changes a table's content. */
  readonly writesTable: boolean;
  /** Uses data.drop or elem.drop. */
  readonly dropsSegments: boolean;
}

const TABLE_WRITES: readonly number[] = [op.tableSet, op.tableInit, op.tableCopy, op.tableGrow, op.tableFill];

/** Growable columns, reused from function to function. */
class Columns {
  code = new Uint32Array(4096);
  start = new Uint32Array(4097);
  immediate = new Int32Array(4096);

  grow(): void {
    const size = this.code.length * 2;
    const grown = <T extends Uint32Array | Int32Array>(target: T, source: T): T => (
      target.set(source),
      target
    );
    this.code = grown(new Uint32Array(size), this.code);
    this.start = grown(new Uint32Array(size + 1), this.start);
    this.immediate = grown(new Int32Array(size), this.immediate);
  }
}

const columns = new Columns();

/** Types of a block: its parameters and results. */
export function blockType(module: WasmModule, code: FunctionCode, instruction: number): FunctionType {
  const type = code.immediate[instruction]!;
  return type >= 0 ? module.types[type]! : SHORT_TYPES[type & SHORT]!;
}

/** A number below 0 where there may be the index of a type: these bits are the byte of a type without parameters. */
const SHORT = 0x7f;
const SHORT_TYPES: Record<number, FunctionType> = {
  [BLOCK_VOID]: { params: [], results: [] },
  ...Object.fromEntries(
    [...SAVABLE, FUNCREF, EXTERNREF].map((type) => [type, { params: [], results: [type] }]),
  ),
};

const isBlockType = (type: number): boolean => type >= 0 || SHORT_TYPES[type & SHORT] !== undefined;
const isHeapType = (type: number): boolean =>
  type < 0 && ((type & SHORT) === FUNCREF || (type & SHORT) === EXTERNREF);

/** A bit of an alignment: the number of a memory follows, which can only be 0. */
const NAMES_MEMORY = 0x40;

/** Labels of a br_table, the default last. */
export function tableLabels(code: FunctionCode, instruction: number): number[] {
  const reader = new BinaryReader(code.bytes, code.immediate[instruction]);
  return Array.from({ length: reader.u32() + 1 }, () => reader.u32());
}

/** Decodes a function that the module defines. Errors: UNSUPPORTED_FEATURE with function and offset. */
export function decodeFunction(module: WasmModule, index: number): FunctionCode {
  const body = module.bodies[index - module.imports.length]!;
  return decodeBody(module, index, module.bytes, body.from, body.to);
}

/** Decodes a body at `bytes[from, to)`, which may be one that the rewriter made itself. */
export function decodeBody(
  module: WasmModule,
  index: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): FunctionCode {
  const type = module.types[module.functions[index - module.imports.length]!]!;
  const reader = new BinaryReader(bytes, from);
  const locals = [...type.params];
  for (let groups = reader.u32(); groups > 0; groups--) {
    const count = reader.u32();
    const local = readValueType(reader);
    for (let n = 0; n < count; n++) locals.push(local);
  }
  const calls = new Set<number>();
  const tailCalls = new Set<number>();
  const indirect = new Set<number>();
  const indirectTail = new Set<number>();
  let writesTable = false;
  let dropsSegments = false;
  let count = 0;
  let { code: codes, start: starts, immediate: immediates } = columns;
  const at = (offset: number): string =>
    `${describeFunction(module, index)}, offset 0x${offset.toString(16)}`;
  while (reader.position < to) {
    if (count === codes.length) {
      columns.grow();
      ({ code: codes, start: starts, immediate: immediates } = columns);
    }
    const start = reader.position;
    let code = reader.u8();
    if (code >= 0xfb && code <= 0xfe) code = (code << 16) | reader.u32();
    const info = opInfo(code);
    if (info === undefined) throw refuse(unsupportedFeature(code), at(start));
    let immediate = 0;
    switch (info.immediates) {
      case "none":
        break;
      case "index":
        immediate = reader.u32();
        break;
      case "leb":
        if (code === op.i32Const) immediate = reader.s32();
        else reader.skipLeb();
        break;
      case "memory":
      case "memoryLane":
        if ((reader.u32() & NAMES_MEMORY) !== 0) reader.skipLeb();
        immediate = reader.u32() | 0;
        if (info.immediates === "memoryLane") reader.position++;
        break;
      case "block":
        immediate = reader.s32();
        if (!isBlockType(immediate)) throw refuse("typed references", at(start));
        break;
      case "index2":
        immediate = reader.u32();
        reader.skipLeb();
        break;
      case "lane":
        immediate = reader.u8();
        break;
      case "heap":
        immediate = reader.s32();
        if (!isHeapType(immediate)) throw refuse("typed references", at(start));
        immediate &= SHORT;
        break;
      case "bytes4":
        reader.position += 4;
        break;
      case "bytes8":
        reader.position += 8;
        break;
      case "bytes16":
        reader.position += 16;
        break;
      case "labels":
        immediate = reader.position;
        for (let left = reader.u32() + 1; left > 0; left--) reader.skipLeb();
        break;
      case "types":
        reader.u32();
        immediate = readValueType(reader);
        break;
    }
    if (code === op.call) calls.add(immediate);
    else if (code === op.callIndirect) indirect.add(immediate);
    else if (code === op.returnCall) tailCalls.add(immediate);
    else if (code === op.returnCallIndirect) indirectTail.add(immediate);
    else if (code === op.tableSet || code >= op.memoryInit) {
      if (TABLE_WRITES.includes(code)) writesTable = true;
      else if (code === op.dataDrop || code === op.elemDrop) dropsSegments = true;
    }
    codes[count] = code;
    starts[count] = start;
    immediates[count] = immediate;
    count++;
  }
  starts[count] = to;
  const result = {
    index,
    type,
    locals,
    bytes,
    count,
    code: codes.slice(0, count),
    start: starts.slice(0, count + 1),
    immediate: immediates.slice(0, count),
    end: new Uint32Array(count),
    opener: new Uint32Array(count),
    elseOf: new Uint32Array(count),
    repeats: new Uint8Array(count),
    calls,
    tailCalls,
    indirect,
    indirectTail,
    writesTable,
    dropsSegments,
    hasLoop: false,
  };
  result.hasLoop = matchBlocks(result);
  return result;
}

/** Fills `end`, `opener`, `elseOf` and `repeats`. @returns whether any loop repeats. */
function matchBlocks(code: FunctionCode): boolean {
  const open: number[] = [-1];
  let hasLoop = false;
  const branch = (label: number): void => {
    const target = open[open.length - 1 - label]!;
    if (target >= 0 && code.code[target] === op.loop) {
      code.repeats[target] = 1;
      hasLoop = true;
    }
  };
  for (let i = 0; i < code.count; i++) {
    const opcode = code.code[i]!;
    // Most instructions are nothing of this.
    if (opcode > op.brTable) continue;
    switch (opcode) {
      case op.block:
      case op.loop:
      case op.if:
        open.push(i);
        break;
      case op.else:
        code.elseOf[open.at(-1)!] = i;
        break;
      case op.end: {
        const opened = open.pop()!;
        if (opened >= 0) {
          code.end[opened] = i;
          code.opener[i] = opened;
          const otherwise = code.elseOf[opened]!;
          if (otherwise !== 0) code.end[otherwise] = i;
        }
        break;
      }
      case op.br:
      case op.brIf:
        branch(code.immediate[i]!);
        break;
      case op.brTable:
        for (const label of tableLabels(code, i)) branch(label);
        break;
    }
  }
  return hasLoop;
}
