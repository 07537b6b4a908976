import { type FunctionCode, tableLabels } from "./function-code.ts";
import { describeFunction } from "./function-name.ts";
import { refuse, type WasmModule } from "./module.ts";
import { EXTERNREF, FUNCREF, op } from "./opcodes.ts";
import type { SiteAnalysis } from "./sites.ts";

/** What a branch to a label, or falling out of a block, finds live. */
interface Context {
  readonly instruction: number;
  readonly label: Uint32Array;
  /** Live at the start of the else arm, once it was walked. */
  otherwise: Uint32Array | undefined;
}

/**
 * Fills `live` of every site: the locals that are read after the site before they are written.
 * A backward walk over the structured code, repeated until the loop heads are stable.
 */
export function findLiveLocals(module: WasmModule, code: FunctionCode, analysis: SiteAnalysis): void {
  const words = (code.locals.length + 31) >>> 5;
  const loops = new Map<number, Uint32Array>();
  const atCalls = new Map<number, Uint32Array>();
  let entry: Uint32Array;
  let changed: boolean;
  do {
    changed = false;
    entry = walk(code, analysis, words, loops, atCalls, () => (changed = true));
  } while (changed);
  for (const site of analysis.sites) {
    const set =
      site.kind === "entry"
        ? entry
        : site.kind === "loop"
          ? loops.get(site.instruction)!
          : atCalls.get(site.instruction)!;
    site.live = members(set);
    for (const local of site.live) {
      const type = code.locals[local]!;
      if (type === FUNCREF || type === EXTERNREF)
        throw refuse(
          "a reference held in a local across a call",
          `${describeFunction(module, code.index)}, local ${local}`,
        );
    }
  }
}

function members(set: Uint32Array): number[] {
  const list: number[] = [];
  for (let word = 0; word < set.length; word++)
    for (let bits = set[word]!; bits !== 0; bits &= bits - 1)
      list.push(word * 32 + 31 - Math.clz32(bits & -bits));
  return list;
}

/** `target |= source`. @returns whether that added anything. */
function unite(target: Uint32Array, source: Uint32Array): boolean {
  let added = 0;
  for (let word = 0; word < target.length; word++) {
    added |= source[word]! & ~target[word]!;
    target[word]! |= source[word]!;
  }
  return added !== 0;
}

/** One backward walk. @returns what is live at the function's start. */
function walk(
  code: FunctionCode,
  analysis: SiteAnalysis,
  words: number,
  loops: Map<number, Uint32Array>,
  atCalls: Map<number, Uint32Array>,
  grew: () => void,
): Uint32Array {
  const contexts: Context[] = [{ instruction: -1, label: new Uint32Array(words), otherwise: undefined }];
  const label = (depth: number): Uint32Array => contexts[contexts.length - 1 - depth]!.label;
  let live: Uint32Array = new Uint32Array(words);
  for (let i = code.count - 2; i >= 0; i--) {
    const opcode = code.code[i]!;
    // Most instructions are nothing of this.
    if (opcode > op.localTee || analysis.dead[i] === 1) continue;
    const immediate = code.immediate[i]!;
    switch (opcode) {
      case op.localGet:
        live[immediate >>> 5]! |= 1 << (immediate & 31);
        break;
      case op.localSet:
      case op.localTee:
        live[immediate >>> 5]! &= ~(1 << (immediate & 31));
        break;
      case op.end: {
        const instruction = code.opener[i]!;
        let target: Uint32Array = live.slice();
        if (code.code[instruction] === op.loop) {
          target = loops.get(instruction) ?? new Uint32Array(words);
          loops.set(instruction, target);
        }
        contexts.push({ instruction, label: target, otherwise: undefined });
        break;
      }
      case op.else: {
        const context = contexts.at(-1)!;
        context.otherwise = live;
        live = context.label.slice();
        break;
      }
      case op.if: {
        const context = contexts.pop()!;
        unite(live, context.otherwise ?? context.label);
        break;
      }
      case op.block:
        contexts.pop();
        break;
      case op.loop:
        if (unite(contexts.pop()!.label, live)) grew();
        break;
      case op.br:
        live = label(immediate).slice();
        break;
      case op.brIf:
        unite(live, label(immediate));
        break;
      case op.brTable:
        live = new Uint32Array(words);
        for (const depth of tableLabels(code, i)) unite(live, label(depth));
        break;
      case op.return:
      case op.unreachable:
      case op.returnCall:
      case op.returnCallIndirect:
        live = new Uint32Array(words);
        break;
      case op.call:
      case op.callIndirect:
        if (analysis.siteAt[i]! >= 0) atCalls.set(i, live.slice());
        break;
    }
  }
  return live;
}
