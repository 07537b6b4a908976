import { type FunctionCode, tableLabels } from "./function-code.ts";
import { I32, I64, op } from "./opcodes.ts";
import { hasOnlyItsPoll, type SiteAnalysis } from "./sites.ts";

/** A local that counts the iterations of a loop. */
export interface Counter {
  readonly local: number;
  /** Type of the local: i32 or i64. */
  readonly type: number;
  /** `local & mask` is 0 exactly once in as many iterations as were asked for. */
  readonly mask: number;
}

/**
 * Finds a local that the loop itself counts up or down, so that the loop need not look at the stop flag in each iteration:
 * it is looked at only when some bits of the local are 0. That is sure to happen once in `iterations`, a power of two,
 * whatever the local's first value is and even when it overflows, if each iteration adds the same number to it once.
 *
 * The addition has to stand directly in the loop's body, before the first branch back: it cannot be jumped over then.
 * Loops that hold other sites, calls or bulk operations are left alone, as an iteration of theirs can take any time.
 */
export function findCounter(
  code: FunctionCode,
  analysis: SiteAnalysis,
  loop: number,
  iterations: number,
): Counter | undefined {
  const end = code.end[loop]!;
  if (!hasOnlyItsPoll(code, analysis, loop)) return undefined;
  const candidates = new Map<number, Counter>();
  const writes = new Map<number, number>();
  let nested = 0;
  let canBranchBack = false;
  for (let i = loop + 1; i < end; i++) {
    if (analysis.dead[i] === 1) continue;
    const opcode = code.code[i]!;
    if (takesLong(opcode)) return undefined;
    // Most instructions are nothing of this.
    if (opcode > op.localTee) continue;
    if (opcode === op.block || opcode === op.loop || opcode === op.if) nested++;
    else if (opcode === op.end) nested--;
    else if (opcode === op.localSet || opcode === op.localTee) {
      const local = code.immediate[i]!;
      writes.set(local, (writes.get(local) ?? 0) + 1);
      const counter = nested === 0 && !canBranchBack ? counterAt(code, i, iterations) : undefined;
      if (counter !== undefined) candidates.set(local, counter);
    } else if (!canBranchBack) canBranchBack = branchesTo(code, i, nested);
  }
  return [...candidates.values()].find(({ local }) => writes.get(local) === 1);
}

const takesLong = (opcode: number): boolean =>
  opcode === op.call ||
  opcode === op.callIndirect ||
  opcode === op.memoryGrow ||
  // All with this prefix but conversions of numbers are bulk operations.
  (opcode >>> 16 === 0xfc && (opcode & 0xffff) > 7);

/** Whether an instruction can branch to a label, counted from the innermost block outwards. */
export function branchesTo(code: FunctionCode, i: number, label: number): boolean {
  const opcode = code.code[i];
  if (opcode === op.br || opcode === op.brIf) return code.immediate[i] === label;
  return opcode === op.brTable && tableLabels(code, i).includes(label);
}

const ADDITIONS: Record<number, { readonly type: number; readonly constant: number }> = {
  [op.i32Add]: { type: I32, constant: op.i32Const },
  [op.i32Sub]: { type: I32, constant: op.i32Const },
  [op.i64Add]: { type: I64, constant: op.i64Const },
  [op.i64Sub]: { type: I64, constant: op.i64Const },
};

/** Whether the write of a local at `i` is `local.get x; const; add or sub; local.set x`. */
export function isCounting({ code, immediate }: FunctionCode, i: number): boolean {
  const addition = ADDITIONS[code[i - 1]!];
  if (addition === undefined || code[i - 2] !== addition.constant) return false;
  return code[i - 3] === op.localGet && immediate[i - 3] === immediate[i];
}

function counterAt(code: FunctionCode, i: number, iterations: number): Counter | undefined {
  if (!isCounting(code, i)) return undefined;
  const step = smallConstant(code, i - 2);
  if (step === undefined || step === 0) return undefined;
  const { type } = ADDITIONS[code.code[i - 1]!]!;
  // The bits below the lowest one of the step never change.
  const mask = (iterations - 1) * (step & -step);
  return mask > 0 && mask < 2 ** 31 ? { local: code.immediate[i]!, type, mask } : undefined;
}

/** Value of a constant of up to two bytes. */
function smallConstant({ bytes, start }: FunctionCode, i: number): number | undefined {
  const from = start[i]! + 1;
  const length = start[i + 1]! - from;
  if (length === 1) return (bytes[from]! << 25) >> 25;
  if (length === 2) return (((bytes[from]! & 0x7f) | (bytes[from + 1]! << 7)) << 18) >> 18;
  return undefined;
}
