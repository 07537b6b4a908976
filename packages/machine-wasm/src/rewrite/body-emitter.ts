import { CodeWriter } from "./code-writer.ts";
import type { CopyRuns } from "./copy-runs.ts";
import type { FrameHelpers } from "./frame-helpers.ts";
import type { FunctionCode } from "./function-code.ts";
import type { FrameValue, FunctionFrames } from "./function-frames.ts";
import type { LoopPlans } from "./loop-stores.ts";
import type { FunctionType, WasmModule } from "./module.ts";
import { BLOCK_VOID, op } from "./opcodes.ts";
import type { Push, SiteAnalysis } from "./sites.ts";
import type { StateHelpers } from "./state-helpers.ts";
import type { TypeTable } from "./type-table.ts";

/** What every function of one output module shares. */
export interface ModuleContext {
  readonly module: WasmModule;
  readonly types: TypeTable;
  readonly frameHelpers: FrameHelpers;
  readonly stateHelpers: StateHelpers;
  /** Whether stores are marked in the dirty map. */
  readonly tracked: boolean;
  /** Marks as release stores, for processors that reorder stores (Arm). */
  readonly releaseMarks: boolean;
  /** Function index of a function's resume copy; undefined when it has no frame of its own. */
  resumeIndex(index: number): number | undefined;
  mayTailCall(index: number): boolean;
  /** Index of the table of resume copies. */
  readonly resumeTable: number;
  /** Where one body after the other is written. */
  readonly code: CodeWriter;
}

/** A function with its sites and their frames. */
export interface AnalysedFunction {
  readonly code: FunctionCode;
  readonly analysis: SiteAnalysis;
  readonly frames: FunctionFrames;
  readonly runs: CopyRuns;
  readonly loops: LoopPlans;
  /** Number of its first site in the module. */
  readonly firstSite: number;
  /** Where the masks of its sites begin among those of the module. */
  readonly firstMask: number;
}

/** What the emitters of both copies of a function write with: blocks, labels, and locals beside those of the original. */
export class BodyEmitter {
  protected readonly context: ModuleContext;
  protected readonly code: FunctionCode;
  protected readonly analysis: SiteAnalysis;
  protected readonly frames: FunctionFrames;
  protected readonly firstSite: number;
  protected readonly out: CodeWriter;
  /** Blocks that are open in the output. */
  protected open = 0;
  readonly #extraLocals: number[] = [];
  readonly #temporaries = new Map<number, number>();

  constructor(context: ModuleContext, fn: AnalysedFunction) {
    this.context = context;
    this.out = context.code.reset();
    this.code = fn.code;
    this.analysis = fn.analysis;
    this.frames = fn.frames;
    this.firstSite = fn.firstSite;
  }

  protected finish(declared: readonly number[]): Uint8Array {
    this.out.u8(op.end);
    const groups: { type: number; count: number }[] = [];
    for (const type of [...declared, ...this.#extraLocals]) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    const head = new CodeWriter(64).u32(groups.length);
    for (const { type, count } of groups) head.u32(count).u8(type);
    const body = new Uint8Array(head.length + this.out.length);
    body.set(head.view());
    body.set(this.out.view(), head.length);
    return body;
  }

  protected addLocal(type: number): number {
    this.#extraLocals.push(type);
    return this.code.locals.length + this.#extraLocals.length - 1;
  }

  /** The local that holds a copy of the value at this depth of the operand stack. One for each depth and type. */
  protected temporary(depth: number, type: number): number {
    const key = depth * 256 + type;
    let local = this.#temporaries.get(key);
    if (local === undefined) this.#temporaries.set(key, (local = this.addLocal(type)));
    return local;
  }

  /** The local in which a value of a frame is found. */
  protected localOf({ type, kind, number }: FrameValue): number {
    return kind === "local" ? number : this.temporary(number, type);
  }

  /** Opens a block. The caller writes its type. */
  protected enter(opcode: number): CodeWriter {
    this.open++;
    return this.out.u8(opcode);
  }

  protected leave(): void {
    this.open--;
    this.out.u8(op.end);
  }

  protected writeBlockType({ params, results }: FunctionType): void {
    if (params.length > 0 || results.length > 1) this.out.s32(this.context.types.index(params, results));
    else this.out.u8(results[0] ?? BLOCK_VOID);
  }

  protected branch(opcode: number, label: number): void {
    this.out.indexed(opcode, this.open - label);
  }

  /** Moves operands into their temporaries and leaves the stack without them. */
  protected spill({ depth, types }: Push): void {
    for (let n = types.length - 1; n >= 0; n--) this.out.localSet(this.temporary(depth + n, types[n]!));
  }

  protected reload({ depth, types }: Push): void {
    for (let n = 0; n < types.length; n++) this.out.localGet(this.temporary(depth + n, types[n]!));
  }
}
