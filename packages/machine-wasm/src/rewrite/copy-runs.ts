import type { CodeWriter } from "./code-writer.ts";
import type { FunctionCode } from "./function-code.ts";
import { op } from "./opcodes.ts";
import type { SiteAnalysis } from "./sites.ts";

/** All that is numbered up to here are structures and their ends, branches, calls and what leaves the function. */
export const endsStraightCode = (opcode: number): boolean => opcode <= op.returnCallIndirect;

/** Loads and stores of numbers. */
const isAccess = (opcode: number): boolean => opcode >= op.i32Load && opcode <= op.i64Store32;

/** Bits of an alignment: without those that say that the number of a memory follows, or another byte. */
const ALIGNMENT = 0x3f;

/**
 * Straight code that goes into a copy of the function as it is: most of a function, so it is found once for all copies. For each
 * instruction the one behind the run that it is in; its own number when it is in none.
 */
export interface CopyRuns {
  readonly plain: Uint32Array;
  /** Where stores are marked, these end a run, and what writes to a local. */
  readonly tracked: Uint32Array;
}

/** What an instruction needs besides being copied: in both variants, in the tracked one. */
const KEPT = 1;
const MARKED = 2;

export function findRuns(code: FunctionCode, analysis: SiteAnalysis): CopyRuns {
  const { count } = code;
  const plain = new Uint32Array(count);
  const tracked = new Uint32Array(count);
  const needs = new Uint8Array(count);
  for (const i of analysis.keepForSites.keys()) needs[i]! |= KEPT;
  for (const i of analysis.keepForMarks.keys()) needs[i]! |= MARKED;
  for (const i of analysis.addresses.keys()) needs[i]! |= MARKED;
  let plainEnd = count;
  let trackedEnd = count;
  for (let i = count - 1; i >= 0; i--) {
    const opcode = code.code[i]!;
    const isRun = (needs[i]! & KEPT) === 0 && analysis.dead[i] === 0 && isCopied(code, i, opcode);
    if (!isRun) plainEnd = i;
    if (!isRun || needs[i] !== 0 || opcode === op.localSet || opcode === op.localTee) trackedEnd = i;
    plain[i] = plainEnd;
    tracked[i] = trackedEnd;
  }
  return { plain, tracked };
}

/** Copies an instruction. Linkers leave room in what they may have to change; here each number has its shortest form. */
export function copyInstruction(out: CodeWriter, code: FunctionCode, i: number): void {
  const { start, immediate, bytes } = code;
  const opcode = code.code[i]!;
  switch (opcode) {
    case op.call:
    case op.returnCall:
    case op.globalGet:
    case op.globalSet:
    case op.refFunc:
      out.indexed(opcode, immediate[i]!);
      break;
    case op.i32Const:
      out.i32Const(immediate[i]!);
      break;
    default:
      if (isAccess(opcode)) out.pair(opcode, bytes[start[i]! + 1]! & ALIGNMENT).u32(immediate[i]!);
      else out.copy(bytes, start[i]!, start[i + 1]!);
  }
}

/** Whether {@link copyInstruction} would write what is there, and nothing else has to be done about the instruction. */
function isCopied({ start, immediate }: FunctionCode, i: number, opcode: number): boolean {
  if (endsStraightCode(opcode) || opcode === op.dataDrop || opcode === op.elemDrop) return false;
  const bytes = start[i + 1]! - start[i]!;
  // An opcode and a number of one byte: there is nothing shorter.
  if (bytes <= 2) return true;
  const value = immediate[i]!;
  switch (opcode) {
    case op.globalGet:
    case op.globalSet:
    case op.refFunc:
      return bytes === 1 + unsignedBytes(value);
    case op.i32Const:
      return bytes === 1 + signedBytes(value);
    default:
      return !isAccess(opcode) || bytes === 2 + unsignedBytes(value);
  }
}

const BITS = 7;

/** Bytes of the shortest LEB128. */
const unsignedBytes = (value: number): number => Math.max(1, Math.ceil((32 - Math.clz32(value)) / BITS));

/** With the sign's bit. */
const signedBytes = (value: number): number =>
  Math.ceil((33 - Math.clz32(value < 0 ? ~value : value)) / BITS);
