import type { AnalysedFunction, ModuleContext } from "./body-emitter.ts";
import { FunctionEmitter, UNWIND_TAG } from "./emit-function.ts";
import { frameBytes, runsOf, ZERO } from "./frame-shape.ts";
import type { FunctionType } from "./module.ts";
import { BLOCK_VOID, I32, op } from "./opcodes.ts";

/** A branch table has no more than this. */
export const MOST_TABLE_ENTRIES = 60_000;

/**
 * What a resume copy begins and ends with. It takes no parameters: it reloads its frame, and where that was saved during a call, it
 * calls the resume copy of the callee, which continues the same way. When the guest is left again, one handler saves the frame.
 */
export abstract class ResumeFrames extends FunctionEmitter {
  /** Local: 1 + number of the site that is being resumed; 0 once it is reached, where that is asked for again. */
  protected readonly siteLocal: number;
  /** Local: 1 + number of the last site that was reached, whose frame is saved when the guest is left. */
  readonly #reached: number;
  readonly #firstMask: number;
  /** Locals with what a call has returned, by type: as many as any call returns of it. */
  readonly #results = new Map<number, number[]>();

  constructor(context: ModuleContext, fn: AnalysedFunction) {
    super(context, fn);
    this.siteLocal = this.addLocal(I32);
    this.#reached = this.addLocal(I32);
    this.#firstMask = fn.firstMask;
  }

  override emit(): Uint8Array {
    this.out.call(this.context.frameHelpers.popSite());
    this.out
      .i32Const(this.firstSite - 1)
      .u8(op.i32Sub)
      .localTee(this.siteLocal)
      .localSet(this.#reached);
    this.#restoreFrame();
    this.enter(op.try);
    this.writeBlockType({ params: [], results: this.code.type.results });
    this.#resumeCallee();
    this.sequence(0, this.code.count - 1, -1);
    this.out.u8(op.catch).u32(UNWIND_TAG);
    this.#saveFrame();
    this.out.u8(op.rethrow).u32(0);
    this.leave();
    return this.finish(this.code.locals);
  }

  /** Says which values the frame of a site has. `site` is a local with 1 + its number. */
  #openMask(site: number): void {
    const { maskBytes } = this.frames;
    this.out.localGet(site);
    if (maskBytes > 1) this.out.i32Const(maskBytes).u8(op.i32Mul);
    this.out
      .i32Const(this.#firstMask - maskBytes)
      .u8(op.i32Add)
      .i32Const(maskBytes)
      .call(this.context.frameHelpers.openMask());
  }

  /** Loads the frame into the locals. Those that it does not hold are written before they are read. */
  #restoreFrame(): void {
    const { all } = this.frames;
    if (all.length === 0) return;
    this.#openMask(this.siteLocal);
    let index = 0;
    for (const run of runsOf(all.map(({ type }) => type))) {
      this.out.call(this.context.frameHelpers.takeRun(run));
      for (let n = run.count - 1; n >= 0; n--) this.out.localSet(this.localOf(all[index + n]!));
      index += run.count;
    }
    this.out.call(this.context.frameHelpers.endTake());
  }

  /** Saves the frame of the site that was reached last: the only one that the guest can be left at. */
  #saveFrame(): void {
    const { frameHelpers } = this.context;
    const { all } = this.frames;
    const shape = all.map(({ type }) => type);
    this.out.i32Const(frameBytes(shape)).call(frameHelpers.beginFrame());
    if (all.length > 0) this.#openMask(this.#reached);
    let index = 0;
    for (const run of runsOf(shape)) {
      for (let n = 0; n < run.count; n++) this.out.localGet(this.localOf(all[index++]!));
      this.out.call(frameHelpers.putRun(run));
    }
    this.out
      .localGet(this.#reached)
      .i32Const(this.firstSite - 1)
      .u8(op.i32Add)
      .call(frameHelpers.endFrame());
  }

  protected reach(site: number): void {
    this.out.i32Const(site + 1).localSet(this.#reached);
  }

  /** The function's handler saves the frame. */
  protected override throwUnwind(site: number): void {
    this.#forgetWritten(site);
    this.reach(site);
    this.out.u8(op.throw).u32(UNWIND_TAG);
  }

  /**
   * Clears what a loop writes and the frame of its poll does not hold. The handler, which reads all that any frame holds, would
   * keep it from one iteration to the next: in a small loop a register each.
   */
  #forgetWritten(site: number): void {
    for (const { type, number } of this.frames.sites[site]!.forgotten) {
      for (const byte of ZERO[type]!) this.out.u8(byte);
      this.out.localSet(number);
    }
  }

  /** Where what a call returns is found behind it, however the guest came there. */
  protected resultLocals(types: readonly number[]): number[] {
    const taken = new Map<number, number>();
    return types.map((type) => {
      const number = taken.get(type) ?? 0;
      taken.set(type, number + 1);
      let locals = this.#results.get(type);
      if (locals === undefined) this.#results.set(type, (locals = []));
      return (locals[number] ??= this.addLocal(type));
    });
  }

  protected setResults(types: readonly number[]): void {
    for (const local of this.resultLocals(types).toReversed()) this.out.localSet(local);
  }

  /** Where the site is a call: goes on with the callee, which is the function of the frame that follows, and keeps what it returns. */
  #resumeCallee(): void {
    const { sites } = this.analysis;
    const byType = new Map<number, FunctionType>();
    const types = sites.map(({ kind, instruction }) => {
      if (kind !== "call") return undefined;
      const type = { params: [], results: this.calleeType(instruction).results };
      const index = this.context.types.index(type.params, type.results);
      byType.set(index, type);
      return index;
    });
    const order = [...byType.keys()];
    if (order.length === 0) return;
    const isAlways = order.length === 1 && types.every((type) => type !== undefined);
    if (!isAlways) {
      this.enter(op.block).u8(BLOCK_VOID);
      for (let n = 0; n < order.length; n++) this.enter(op.block).u8(BLOCK_VOID);
      // The innermost of these blocks ends where the first type is called.
      this.#branchBySite(types.map((type) => (type === undefined ? order.length : order.indexOf(type))));
    }
    for (const [n, index] of order.entries()) {
      if (!isAlways) this.leave();
      this.out.call(this.context.frameHelpers.topOrdinal());
      this.out.u8(op.callIndirect).u32(index).u32(this.context.resumeTable);
      this.setResults(byType.get(index)!.results);
      if (n < order.length - 1) this.branch(op.br, this.open - (order.length - 1 - n));
    }
    if (!isAlways) this.leave();
  }

  /** Leaves as many of the open blocks as the list says for the site. */
  #branchBySite(blocks: readonly number[]): void {
    for (let first = 0; first < blocks.length; first += MOST_TABLE_ENTRIES) {
      const part = blocks.slice(first, first + MOST_TABLE_ENTRIES);
      this.enter(op.block).u8(BLOCK_VOID);
      this.out
        .localGet(this.siteLocal)
        .i32Const(first + 1)
        .u8(op.i32Sub);
      this.out.u8(op.brTable).u32(part.length);
      for (const left of part) this.out.u32(left + 1);
      this.out.u32(0);
      this.leave();
    }
  }
}
