import { frameBytes, type FrameShape, runsOf } from "./frame-shape.ts";
import type { FunctionCode } from "./function-code.ts";
import { op, SAVABLE } from "./opcodes.ts";
import { hasOnlyItsPoll, type Site, type SiteAnalysis } from "./sites.ts";

/** A value that frames hold: a local of the function, or the operand at this depth of its stack. */
export interface FrameValue {
  readonly type: number;
  readonly kind: "local" | "operand";
  readonly number: number;
}

/** What the frame of a site holds: values in their order in it, and their types. */
export interface FrameContent {
  readonly values: readonly FrameValue[];
  readonly shape: FrameShape;
  /** For the poll of a loop that has no other site: locals that the loop writes and that only other frames of the function hold. */
  readonly forgotten: readonly FrameValue[];
}

/** What the frames of a function hold. */
export interface FunctionFrames {
  readonly sites: readonly FrameContent[];
  /** For each site, in the fast copy: which of `savedTogether` saves its frame; -1 where it has code of its own for that. */
  readonly savedBy: Int32Array;
  /** Contents that many sites have. */
  readonly savedTogether: readonly FrameContent[];
  /** All that any of them holds. Each holds some of these, in the same order. */
  readonly all: readonly FrameValue[];
  /** Bytes of the mask of a site. */
  readonly maskBytes: number;
  /** The sites' masks one after the other: bit n, from the lowest of the first byte, says that the frame holds value n of `all`. */
  readonly masks: Uint8Array;
}

const OPERANDS = 2 ** 32;
const TYPES = 2 ** 40;

const RANKS = Object.fromEntries(SAVABLE.map((type, rank) => [type, rank * TYPES]));

/** Frames are ordered by type, then locals before operands, then by number. */
const orderOf = ({ type, kind, number }: FrameValue): number =>
  RANKS[type]! + (kind === "operand" ? OPERANDS : 0) + number;

/** Lays out the frames of a module, function by function. */
export class FramePlanner {
  readonly #shapes = new Map<string, FrameShape>();

  /** @param analysis with the live locals of its sites. */
  plan(code: FunctionCode, analysis: SiteAnalysis): FunctionFrames {
    const byOrder = new Map<number, FrameValue>();
    const orders = analysis.sites.map((site) => {
      const own = valuesOf(code, site).map((value) => {
        const order = orderOf(value);
        byOrder.set(order, value);
        return order;
      });
      return isAscending(own) ? own : own.sort((a, b) => a - b);
    });
    const allOrders = [...byOrder.keys()].sort((a, b) => a - b);
    const all = allOrders.map((order) => byOrder.get(order)!);
    const bits = new Map(allOrders.map((order, bit) => [order, bit]));
    const maskBytes = Math.ceil(allOrders.length / 8);
    const masks = new Uint8Array(maskBytes * orders.length);
    for (const [site, own] of orders.entries()) {
      for (let n = 0; n < own.length; n++) {
        const bit = bits.get(own[n]!)!;
        masks[site * maskBytes + (bit >>> 3)]! |= 1 << (bit & 7);
      }
    }
    const inSmallLoop = analysis.sites.map(
      ({ kind, instruction }) => kind === "loop" && hasOnlyItsPoll(code, analysis, instruction),
    );
    const sites = orders.map((own, site) => {
      const values = own.map((order) => byOrder.get(order)!);
      const shape = this.#shapeOf(values);
      if (!inSmallLoop[site]!) return { values, shape, forgotten: [] };
      shape.inSmallLoop = true;
      return { values, shape, forgotten: forgottenAt(code, analysis.sites[site]!.instruction, all, values) };
    });
    const shared = sites.map(({ values }, site) => values.length > 0 && !inSmallLoop[site]!);
    const { savedBy, savedTogether } = shareSaves(sites, shared, masks, maskBytes);
    for (const [site, { shape }] of sites.entries()) if (savedBy[site] === -1) shape.saves++;
    for (const { shape } of savedTogether) shape.saves++;
    return { sites, savedBy, savedTogether, all, maskBytes, masks };
  }

  #shapeOf(values: readonly FrameValue[]): FrameShape {
    const types = values.map(({ type }) => type);
    const key = String.fromCharCode(...types);
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = { types, runs: runsOf(types), bytes: frameBytes(types), saves: 0, inSmallLoop: false };
      this.#shapes.set(key, shape);
    }
    return shape;
  }
}

/** Most are: all of one type. */
function isAscending(list: readonly number[]): boolean {
  for (let n = 1; n < list.length; n++) if (list[n - 1]! > list[n]!) return false;
  return true;
}

function valuesOf(code: FunctionCode, { live, pending }: Site): FrameValue[] {
  return [
    ...live.map((number): FrameValue => ({ type: code.locals[number]!, kind: "local", number })),
    ...pending.map(({ depth, type }): FrameValue => ({ type, kind: "operand", number: depth })),
  ];
}

/**
 * Finds sites whose frames hold the same values. The same code can save them, behind the end of the function: on the way there
 * nothing has to be kept that would not be kept anyway. Not so for small loops, which a way out makes slower.
 * In bytes, about: a value takes 2, and what else saves a frame 8; a site takes 8 to get to such code, which has 11 besides.
 * @param shared whether a site may be one of them.
 */
function shareSaves(
  sites: readonly FrameContent[],
  shared: readonly boolean[],
  masks: Uint8Array,
  maskBytes: number,
): Pick<FunctionFrames, "savedBy" | "savedTogether"> {
  const groups = new Map<string, number[]>();
  for (const site of sites.keys()) {
    if (!shared[site]!) continue;
    const key = String.fromCharCode(...masks.subarray(site * maskBytes, (site + 1) * maskBytes));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [site]);
    else group.push(site);
  }
  const savedBy = new Int32Array(sites.length).fill(-1);
  const savedTogether: FrameContent[] = [];
  for (const group of groups.values()) {
    const content = sites[group[0]!]!;
    if (2 * content.values.length * (group.length - 1) <= 11) continue;
    for (const site of group) savedBy[site] = savedTogether.length;
    savedTogether.push(content);
  }
  return { savedBy, savedTogether };
}

function forgottenAt(
  { code, immediate, end }: FunctionCode,
  loop: number,
  all: readonly FrameValue[],
  held: readonly FrameValue[],
): FrameValue[] {
  if (held.length === all.length) return [];
  const written = new Set<number>();
  const { localSet, localTee } = op;
  for (let i = loop + 1; i < end[loop]!; i++)
    if (code[i] === localSet || code[i] === localTee) written.add(immediate[i]!);
  const holds = new Set(held);
  return all.filter((value) => value.kind === "local" && written.has(value.number) && !holds.has(value));
}
