import { type FunctionCode, tableLabels } from "./function-code.ts";
import { branchesTo, type Counter, findCounter, isCounting } from "./loop-counter.ts";
import { op, opInfo } from "./opcodes.ts";
import type { SiteAnalysis } from "./sites.ts";

const PAGE_BYTES = 4096;
/** Marks that are made less often than this are not worth the registers that they take. */
const FEWEST_ITERATIONS = 8;

/** A store whose address changes by the same number of bytes in each iteration. */
export interface SteadyStore {
  readonly instruction: number;
  readonly offset: number;
  /** From the address of the last iteration on, where earlier ones of the same interval lie: at most a page away. */
  readonly reach: number;
}

/** How a loop that counts is polled and its stores are marked. */
export interface LoopPlan {
  readonly counter: Counter;
  /** Stores that are marked where the loop polls and where it ends, and not where they are. */
  readonly stores: readonly SteadyStore[];
}

/** Plans of the loops of a function that count, by the loop's instruction. */
export interface LoopPlans {
  readonly plain: ReadonlyMap<number, LoopPlan>;
  /** Where stores are marked. */
  readonly tracked: ReadonlyMap<number, LoopPlan>;
}

/**
 * Plans the loops of a function that count and in which nothing else is a site.
 * @param iterations between two polls, at most: a power of two.
 */
export function planLoops(code: FunctionCode, analysis: SiteAnalysis, iterations: number): LoopPlans {
  const plain = new Map<number, LoopPlan>();
  const tracked = new Map<number, LoopPlan>();
  for (const { kind, instruction: loop } of analysis.sites) {
    const counter = kind === "loop" ? findCounter(code, analysis, loop, iterations) : undefined;
    if (counter === undefined) continue;
    const plan = { counter, stores: [] };
    plain.set(loop, plan);
    tracked.set(loop, planStores(code, analysis, loop, iterations) ?? plan);
  }
  return { plain, tracked };
}

/**
 * Between two polls of such a loop the guest cannot be left, so that it is enough to mark what was stored since the last one. That
 * is known for stores that move on steadily: the pages of the last address and of the first one since then, if they are less
 * than a page apart.
 */
function planStores(
  code: FunctionCode,
  analysis: SiteAnalysis,
  loop: number,
  iterations: number,
): LoopPlan | undefined {
  if (leavesEarly(code, analysis, loop)) return undefined;
  const steps = new Steps(code, analysis, loop);
  for (let interval = iterations; interval >= FEWEST_ITERATIONS; interval >>>= 1) {
    const counter = findCounter(code, analysis, loop, interval);
    const stores = steps.stores(interval);
    if (counter !== undefined && stores !== undefined) return { counter, stores };
  }
  return undefined;
}

/** Whether there is a way out of the loop other than through its end. */
function leavesEarly(code: FunctionCode, analysis: SiteAnalysis, loop: number): boolean {
  let nested = 0;
  for (let i = loop + 1; i < code.end[loop]!; i++) {
    if (analysis.dead[i] === 1) continue;
    const opcode = code.code[i]!;
    if (opcode === op.block || opcode === op.loop || opcode === op.if) nested++;
    else if (opcode === op.end) nested--;
    else if (opcode === op.br || opcode === op.brIf) {
      if (code.immediate[i]! > nested) return true;
    } else if (opcode === op.brTable) {
      if (tableLabels(code, i).some((label) => label > nested)) return true;
    } else if (opcode === op.return || opcode === op.returnCall || opcode === op.returnCallIndirect)
      return true;
  }
  return false;
}

interface Write {
  readonly instruction: number;
  /** Whether it stands directly in the loop's body, so that nothing behind it is reached without it. */
  readonly direct: boolean;
}

/** An expression: by how much its value changes in each iteration, and its first instruction. */
interface Expression {
  readonly step: number;
  readonly first: number;
}

/** Follows how values change from iteration to iteration of one loop. */
class Steps {
  readonly #code: FunctionCode;
  readonly #analysis: SiteAnalysis;
  readonly #loop: number;
  readonly #writes = new Map<number, Write[]>();
  /** Expressions by their last instruction: values are read again and again. */
  readonly #known = new Map<number, Expression | undefined>();
  /** The first branch back: what is behind it is not reached in each iteration. */
  #branchBack: number;

  constructor(code: FunctionCode, analysis: SiteAnalysis, loop: number) {
    this.#code = code;
    this.#analysis = analysis;
    this.#loop = loop;
    this.#branchBack = code.end[loop]!;
    let nested = 0;
    for (let i = loop + 1; i < code.end[loop]!; i++) {
      if (analysis.dead[i] === 1) continue;
      const opcode = code.code[i]!;
      if (opcode === op.block || opcode === op.loop || opcode === op.if) nested++;
      else if (opcode === op.end) nested--;
      else if (opcode === op.localSet || opcode === op.localTee) this.#note(i, nested === 0);
      else if (this.#branchBack > i && branchesTo(code, i, nested)) this.#branchBack = i;
    }
  }

  #note(instruction: number, direct: boolean): void {
    const local = this.#code.immediate[instruction]!;
    const list = this.#writes.get(local);
    if (list === undefined) this.#writes.set(local, [{ instruction, direct }]);
    else list.push({ instruction, direct });
  }

  /** The stores that move on steadily; undefined when one of them moves too far in `interval` iterations. */
  stores(interval: number): SteadyStore[] | undefined {
    const { code, immediate } = this.#code;
    const found: SteadyStore[] = [];
    for (let i = this.#loop + 1; i < this.#code.end[this.#loop]!; i++) {
      const address = this.#analysis.addresses.get(i);
      if (address === undefined || this.#analysis.dead[i] === 1 || opInfo(code[i]!)!.stores === 0) continue;
      const step = this.#expression(address.producer)?.step;
      if (step === undefined || Math.abs(step) * (FEWEST_ITERATIONS + 1) > PAGE_BYTES) continue;
      const reach = step * (interval + 1);
      if (Math.abs(reach) > PAGE_BYTES) return undefined;
      found.push({ instruction: i, offset: immediate[i]! >>> 0, reach });
    }
    return found;
  }

  /** The expression whose value the instruction `last` pushes, if all of it are sums of what is understood. */
  #expression(last: number): Expression | undefined {
    if (last <= this.#loop) return undefined;
    if (!this.#known.has(last)) this.#known.set(last, this.#understand(last));
    return this.#known.get(last);
  }

  #understand(last: number): Expression | undefined {
    const { code, immediate } = this.#code;
    switch (code[last]) {
      case op.i32Const:
        return { step: 0, first: last };
      case op.localGet: {
        const step = this.#local(immediate[last]!, last);
        return step === undefined ? undefined : { step, first: last };
      }
      case op.localTee:
        return this.#expression(last - 1);
      case op.i32Add:
      case op.i32Sub: {
        const right = this.#expression(last - 1);
        const left = right === undefined ? undefined : this.#expression(right.first - 1);
        if (left === undefined || right === undefined) return undefined;
        return { step: left.step + (code[last] === op.i32Add ? right.step : -right.step), first: left.first };
      }
      case op.i32Shl: {
        if (code[last - 1] !== op.i32Const) return undefined;
        const left = this.#expression(last - 2);
        return left === undefined
          ? undefined
          : { ...left, step: left.step * 2 ** (immediate[last - 1]! & 31) };
      }
      default:
        return undefined;
    }
  }

  /** By how much a local, as it is read at `at`, changes from iteration to iteration. */
  #local(local: number, at: number): number | undefined {
    const writes = this.#writes.get(local);
    if (writes === undefined) return 0;
    const before = writes.findLast(({ instruction }) => instruction < at);
    if (before !== undefined)
      return before.direct ? this.#expression(before.instruction - 1)?.step : undefined;
    const [write, another] = writes;
    if (another !== undefined || !write!.direct || write!.instruction > this.#branchBack) return undefined;
    const { instruction } = write!;
    if (!isCounting(this.#code, instruction) || this.#code.code[instruction - 2] !== op.i32Const)
      return undefined;
    const by = this.#code.immediate[instruction - 2]!;
    return this.#code.code[instruction - 1] === op.i32Add ? by : -by;
  }
}
