import { type FunctionCode, tableLabels } from "./function-code.ts";
import { branchesTo, type Counter, findCounter, isCounting } from "./loop-counter.ts";
import { op, opInfo } from "./opcodes.ts";
import type { SiteAnalysis } from "./sites.ts";

const PAGE_BYTES = 4096;
/** Marks that are made less often than this are not worth the registers that they take. */
const FEWEST_ITERATIONS = 8;

/**
 * Stores whose addresses change by the same number of bytes in each iteration, and are always as far from each other. None is reached
 * in an iteration without the first one.
 */
export interface SteadyStores {
  /** The first: its address is what the others are marked by, too. */
  readonly instruction: number;
  readonly others: readonly number[];
  /**
   * From that address in the last iteration on, between which bytes all of them have begun to write in the same interval: less than
   * two pages.
   */
  readonly lowest: number;
  readonly highest: number;
}

/** One of them, before it is known which belong together. */
interface SteadyStore {
  readonly instruction: number;
  readonly offset: number;
  /** From the address of the last iteration on, where earlier ones of the same interval lie: at most a page away. */
  readonly reach: number;
  /** Whether it stands directly in the loop's body, so that nothing behind it is reached without it. */
  readonly direct: boolean;
  readonly address: Sum | undefined;
}

/** How a loop that counts is polled and its stores are marked. */
export interface LoopPlan {
  readonly counter: Counter;
  /** Stores that are marked where the loop polls and where it ends, and not where they are. */
  readonly stores: readonly SteadyStores[];
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
    if (counter !== undefined && stores !== undefined) return { counter, stores: together(stores) };
  }
  return undefined;
}

/** Each mark, and each address that is kept for it, costs the loop something: stores that are near each other share both. */
function together(stores: readonly SteadyStore[]): SteadyStores[] {
  const groups: { first: SteadyStore; others: number[]; lowest: number; highest: number }[] = [];
  for (const store of stores) {
    const joined = groups.some((group) => {
      const distance = group.first.direct ? distanceBetween(group.first.address, store.address) : undefined;
      if (distance === undefined) return false;
      const [from, to] = rangeOf(store, distance);
      const [lowest, highest] = [Math.min(group.lowest, from), Math.max(group.highest, to)];
      if (highest - lowest > PAGE_BYTES) return false;
      group.others.push(store.instruction);
      Object.assign(group, { lowest, highest });
      return true;
    });
    if (joined) continue;
    const [lowest, highest] = rangeOf(store, 0);
    groups.push({ first: store, others: [], lowest, highest });
  }
  return groups.map(({ first, ...rest }) => ({ instruction: first.instruction, ...rest }));
}

/** @param distance of the store's address from the one that the range is counted from. */
function rangeOf({ offset, reach }: SteadyStore, distance: number): [lowest: number, highest: number] {
  const at = offset + distance;
  return reach > 0 ? [at - reach, at] : [at, at - reach];
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

/** A value as a sum, all modulo 2^32: so many times each local as it is at the start of an iteration, and a constant. */
interface Sum {
  readonly times: ReadonlyMap<number, number>;
  readonly constant: number;
}

function add(a: Sum, b: Sum): Sum {
  const times = new Map(a.times);
  for (const [local, count] of b.times) times.set(local, ((times.get(local) ?? 0) + count) | 0);
  return { times, constant: (a.constant + b.constant) | 0 };
}

function multiply({ times, constant }: Sum, by: number): Sum {
  return {
    times: new Map(Array.from(times, ([local, count]) => [local, Math.imul(count, by)])),
    constant: Math.imul(constant, by),
  };
}

/** By how much `b` is more than `a`, in every iteration. Undefined when that is not known. */
function distanceBetween(a: Sum | undefined, b: Sum | undefined): number | undefined {
  if (a === undefined || b === undefined) return undefined;
  const { times, constant } = add(b, multiply(a, -1));
  return [...times.values()].every((count) => count === 0) ? constant : undefined;
}

/** Follows how values change from iteration to iteration of one loop. */
class Steps {
  readonly #code: FunctionCode;
  readonly #analysis: SiteAnalysis;
  readonly #loop: number;
  readonly #writes = new Map<number, Write[]>();
  /** Expressions by their last instruction: values are read again and again. */
  readonly #known = new Map<number, Expression | undefined>();
  readonly #sums = new Map<number, Sum | undefined>();
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
    let nested = 0;
    for (let i = this.#loop + 1; i < this.#code.end[this.#loop]!; i++) {
      const opcode = code[i]!;
      if (this.#analysis.dead[i] === 1) continue;
      if (opcode === op.block || opcode === op.loop || opcode === op.if) nested++;
      else if (opcode === op.end) nested--;
      const address = this.#analysis.addresses.get(i);
      if (address === undefined || opInfo(opcode)!.stores === 0) continue;
      const step = this.#expression(address.producer)?.step;
      if (step === undefined || Math.abs(step) * (FEWEST_ITERATIONS + 1) > PAGE_BYTES) continue;
      const reach = step * (interval + 1);
      if (Math.abs(reach) > PAGE_BYTES) return undefined;
      found.push({
        instruction: i,
        offset: immediate[i]! >>> 0,
        reach,
        direct: nested === 0,
        address: this.#sum(address.producer),
      });
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

  /** The value that the instruction `last` pushes, where it is understood. */
  #sum(last: number): Sum | undefined {
    if (last <= this.#loop) return undefined;
    if (!this.#sums.has(last)) this.#sums.set(last, this.#addUp(last));
    return this.#sums.get(last);
  }

  #addUp(last: number): Sum | undefined {
    const { code, immediate } = this.#code;
    const opcode = code[last];
    switch (opcode) {
      case op.i32Const:
        return { times: new Map(), constant: immediate[last]! };
      case op.localGet: {
        const local = immediate[last]!;
        const before = this.#writeBefore(local, last);
        if (before === undefined) return { times: new Map([[local, 1]]), constant: 0 };
        return before.direct ? this.#sum(before.instruction - 1) : undefined;
      }
      case op.localTee:
        return this.#sum(last - 1);
      case op.i32Add:
      case op.i32Sub:
      case op.i32Shl: {
        const first = this.#expression(last - 1)?.first;
        const left = first === undefined ? undefined : this.#sum(first - 1);
        const right = this.#sum(last - 1);
        if (left === undefined || right === undefined) return undefined;
        if (opcode === op.i32Shl)
          return right.times.size === 0 ? multiply(left, 2 ** (right.constant & 31)) : undefined;
        return add(left, opcode === op.i32Add ? right : multiply(right, -1));
      }
      default:
        return undefined;
    }
  }

  #writeBefore(local: number, at: number): Write | undefined {
    return this.#writes.get(local)?.findLast(({ instruction }) => instruction < at);
  }

  /** By how much a local, as it is read at `at`, changes from iteration to iteration. */
  #local(local: number, at: number): number | undefined {
    const writes = this.#writes.get(local);
    if (writes === undefined) return 0;
    const before = this.#writeBefore(local, at);
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
