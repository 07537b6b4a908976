import { type AnalysedFunction, BodyEmitter, type ModuleContext } from "./body-emitter.ts";
import { functionType } from "./call-graph.ts";
import { CONTROL } from "./control-layout.ts";
import { copyInstruction, endsStraightCode } from "./copy-runs.ts";
import { DirtyMarks } from "./dirty-marks.ts";
import type { Counter } from "./loop-counter.ts";
import type { LoopPlan } from "./loop-stores.ts";
import { controlAccess } from "./control-access.ts";
import type { FrameContent } from "./function-frames.ts";
import { blockType, tableLabels } from "./function-code.ts";
import type { FunctionType } from "./module.ts";
import { BLOCK_VOID, I32, op, opInfo } from "./opcodes.ts";
import type { Push } from "./sites.ts";

/** Stands for the local with an address. */
const MARKED_BY_ANOTHER = -1;

/** The guest's unwind exception: the only tag of the module. */
export const UNWIND_TAG = 0;

/**
 * Emits the fast copy of a function: the original code, where each call that may unwind has a handler that saves
 * the frame, each repeating loop polls, and, in the tracked variant, each store marks its page.
 */
export class FunctionEmitter extends BodyEmitter {
  /** For each block of the original that is open: the value of `open` inside the block that its label now means. */
  readonly #labels: number[] = [0];
  readonly #marks: DirtyMarks;
  readonly #runs: Uint32Array;
  readonly #plans: ReadonlyMap<number, LoopPlan>;
  /** Repeating loops that are open. */
  protected loops = 0;
  /** True for marks that are made once in some iterations of the innermost of them. */
  protected marksSeldom = false;
  /** Local with the number of the site whose frame is to be saved by code that others have as well. */
  #sharedSite = -1;
  /** For stores that are marked where their loop polls: the local with their last address, or that of another one is enough. */
  readonly #steady = new Map<number, number>();

  constructor(context: ModuleContext, fn: AnalysedFunction) {
    super(context, fn);
    const variant = context.tracked ? "tracked" : "plain";
    this.#runs = fn.runs[variant];
    this.#plans = fn.loops[variant];
    this.#marks = new DirtyMarks(this.out, context.releaseMarks, () => this.markHelper());
  }

  /** @returns the body: local declarations, code, end. */
  emit(): Uint8Array {
    const { savedTogether } = this.frames;
    if (savedTogether.length > 0) this.#sharedSite = this.addLocal(I32);
    // The last one is the innermost.
    for (let n = 0; n < savedTogether.length; n++) this.enter(op.block).u8(BLOCK_VOID);
    if (this.analysis.sites[0]?.kind === "entry") {
      this.loadFlag();
      this.enter(op.if).u8(BLOCK_VOID);
      this.throwUnwind(0);
      this.leave();
    }
    this.sequence(0, this.code.count - 1, -1);
    if (savedTogether.length > 0) this.out.u8(op.return);
    for (const content of savedTogether.toReversed()) {
      this.leave();
      this.#save(content, () => this.out.localGet(this.#sharedSite));
      this.out.u8(op.throw).u32(UNWIND_TAG);
    }
    return this.finish(this.code.locals.slice(this.code.type.params.length));
  }

  /** Keeps what an instruction pushed in temporaries as well, where a site or a mark will want it. */
  protected keep(instruction: number): void {
    const marks = this.context.tracked ? this.analysis.keepForMarks.get(instruction) : undefined;
    const push = this.keptForSites(instruction) ?? marks;
    if (push === undefined) return;
    if (push.types.length === 1) {
      this.out.localTee(this.temporary(push.depth, push.types[0]!));
    } else {
      this.spill(push);
      this.reload(push);
    }
  }

  protected keptForSites(instruction: number): Push | undefined {
    return this.analysis.keepForSites.get(instruction);
  }

  /** Emits the instructions [from, to). `loop` is the loop whose body this is, -1 otherwise. */
  protected sequence(from: number, to: number, _loop: number): void {
    const { bytes, start } = this.code;
    for (let i = from; i < to;) {
      const end = this.#runs[i]!;
      if (end === i) i = this.instruction(i);
      else {
        this.out.copy(bytes, start[i]!, start[end]!);
        i = end;
      }
    }
    this.#marks.flush();
  }

  /** Emits one instruction, with all it contains. @returns the one after it. */
  protected instruction(i: number): number {
    const { code, immediate } = this.code;
    if (this.analysis.dead[i] === 1) return i + 1;
    const opcode = code[i]!;
    if (!endsStraightCode(opcode)) {
      this.#straight(i, opcode);
      return i + 1;
    }
    this.#marks.flush();
    switch (opcode) {
      case op.block:
      case op.if:
        return this.#block(i);
      case op.loop:
        return this.code.repeats[i] === 1 ? this.#loop(i) : this.#block(i);
      case op.br:
      case op.brIf:
        this.branch(opcode, this.#label(immediate[i]!));
        return i + 1;
      case op.brTable: {
        const labels = tableLabels(this.code, i);
        this.out.u8(opcode).u32(labels.length - 1);
        for (const label of labels) this.out.u32(this.open - this.#label(label));
        return i + 1;
      }
      case op.call:
      case op.callIndirect:
        if (this.analysis.siteAt[i]! >= 0) {
          this.site(i);
          return i + 1;
        }
        break;
    }
    copyInstruction(this.out, this.code, i);
    this.keep(i);
    return i + 1;
  }

  #straight(i: number, opcode: number): void {
    const { start, immediate, bytes } = this.code;
    if (opcode === op.localSet || opcode === op.localTee) this.#marks.beforeWrite(immediate[i]!);
    else if (opcode === op.dataDrop || opcode === op.elemDrop) {
      this.out.copy(bytes, start[i]!, start[i + 1]!);
      const first = opcode === op.dataDrop ? 0 : this.context.module.data.length;
      this.#markDropped(first + immediate[i]!);
      return;
    } else if (this.context.tracked && this.analysis.addresses.has(i)) {
      this.#store(i);
      return;
    }
    copyInstruction(this.out, this.code, i);
    this.keep(i);
  }

  /** A dropped segment stays dropped in the next instance: the host reads this mark. */
  #markDropped(segment: number): void {
    this.out.i32Const(segment).i32Const(1);
    controlAccess(this.out, [op.i32Store8], CONTROL.dropped);
  }

  #label(depth: number): number {
    return this.#labels[this.#labels.length - 1 - depth]!;
  }

  #block(i: number): number {
    const end = this.code.end[i]!;
    const otherwise = this.code.code[i] === op.if ? this.code.elseOf[i]! : 0;
    this.enter(this.code.code[i]!);
    this.writeBlockType(blockType(this.context.module, this.code, i));
    this.#labels.push(this.open);
    this.keep(i);
    this.sequence(i + 1, otherwise === 0 ? end : otherwise, -1);
    if (otherwise !== 0) {
      this.out.u8(op.else);
      this.keep(otherwise);
      this.sequence(otherwise + 1, end, -1);
    }
    this.#labels.pop();
    this.leave();
    this.keep(end);
    return end + 1;
  }

  #loop(i: number): number {
    const plan = this.#plan(i);
    this.loops++;
    if (plan === undefined) this.#polledLoop(i);
    else this.#countingLoop(i, plan);
    this.loops--;
    const end = this.code.end[i]!;
    this.keep(end);
    return end + 1;
  }

  /** A repeating loop polls at its head: a branch back leads there as it did, be there one or a hundred of them. */
  #polledLoop(i: number): void {
    this.enter(op.loop);
    this.writeBlockType(blockType(this.context.module, this.code, i));
    this.#labels.push(this.open);
    this.keep(i);
    this.pollAtHead(i);
    this.sequence(i + 1, this.code.end[i]!, i);
    this.#labels.pop();
    this.leave();
  }

  /** The function that marks, where it is to be called: nowhere, because any function may be a hot one. */
  protected markHelper(): number | undefined {
    return undefined;
  }

  protected pollAtHead(loop: number): void {
    this.loadFlag();
    this.enter(op.if).u8(BLOCK_VOID);
    this.throwUnwind(this.analysis.siteAt[loop]!);
    this.leave();
  }

  /**
   * A loop that counts looks at the flag only now and then, in a loop around it: every branch back leaves the inner block. So
   * the inner loop stays nearly as small as it was, and the engine unrolls it as it would have.
   *
   *     block exit  loop outer  loop inner  block body ... br exit end  counter; br_if inner  end
   *     flag; eqz; br_if outer; save; throw  end end
   */
  #countingLoop(i: number, plan: LoopPlan): void {
    const type = blockType(this.context.module, this.code, i);
    const again = { params: type.params, results: type.params };
    const parameters = this.analysis.parametersAt.get(i);
    this.enter(op.block);
    this.writeBlockType(type);
    const exit = this.open;
    this.enter(op.loop);
    this.writeBlockType(type);
    const outer = this.open;
    this.enter(op.loop);
    this.writeBlockType(again);
    const inner = this.open;
    this.enter(op.block);
    this.writeBlockType(again);
    this.#labels.push(this.open);
    this.keep(i);
    this.sequence(i + 1, this.code.end[i]!, i);
    this.#labels.pop();
    if (this.analysis.fallsThrough[i] === 1) {
      this.#markSteady(plan);
      this.branch(op.br, exit);
    }
    this.leave();
    if (parameters !== undefined) {
      this.spill(parameters);
      this.reload(parameters);
    }
    this.#branchWhileCounting(plan.counter, inner);
    this.leave();
    this.#markSteady(plan);
    this.loadFlag();
    this.out.u8(op.i32Eqz);
    this.branch(op.brIf, outer);
    this.throwUnwind(this.analysis.siteAt[i]!);
    this.leave();
    this.leave();
  }

  #plan(loop: number): LoopPlan | undefined {
    const plan = this.#plans.get(loop);
    for (const { instruction, others } of plan?.stores ?? []) {
      this.#steady.set(instruction, this.addLocal(I32));
      for (const other of others) this.#steady.set(other, MARKED_BY_ANOTHER);
    }
    return plan;
  }

  #branchWhileCounting({ local, type, mask }: Counter, label: number): void {
    this.out.localGet(local);
    if (type === I32) this.out.i32Const(mask).u8(op.i32And);
    else this.out.u8(op.i64Const).s32(mask).u8(op.i64And).u8(op.i64Const).s32(0).u8(op.i64Ne);
    this.branch(op.brIf, label);
  }

  /** Marks what the steady stores of a loop have written since the loop polled. Those that were not reached mark anything. */
  #markSteady({ stores }: LoopPlan): void {
    this.marksSeldom = true;
    for (const { instruction, lowest, highest } of stores) {
      const address = this.#steady.get(instruction)!;
      this.#marks.mark(address, highest);
      if (lowest !== highest) this.#marks.mark(address, lowest);
    }
    this.marksSeldom = false;
  }

  protected loadFlag(): void {
    this.out.i32Const(0);
    controlAccess(this.out, [op.i32Load], CONTROL.flag);
  }

  /** A call that may unwind: `try call catch save; rethrow end`. The arguments enter the try as block parameters. */
  protected site(i: number): void {
    const callee = this.calleeType(i);
    const indirect = this.code.code[i] === op.callIndirect;
    this.enter(op.try);
    this.writeBlockType({
      params: indirect ? [...callee.params, I32] : callee.params,
      results: callee.results,
    });
    this.copyCall(i);
    this.out.u8(op.catch).u32(UNWIND_TAG);
    const site = this.analysis.siteAt[i]!;
    if (!this.#saveTogether(site)) {
      this.#saveAlone(site);
      this.out.u8(op.rethrow).u32(0);
    }
    this.leave();
    this.keep(i);
  }

  protected calleeType(i: number): FunctionType {
    const target = this.code.immediate[i]!;
    return this.code.code[i] === op.call
      ? functionType(this.context.module, target)
      : this.context.module.types[target]!;
  }

  protected copyCall(i: number): void {
    copyInstruction(this.out, this.code, i);
  }

  protected throwUnwind(site: number): void {
    if (this.#saveTogether(site)) return;
    this.#saveAlone(site);
    this.out.u8(op.throw).u32(UNWIND_TAG);
  }

  /** Goes on with the code that saves the frame of this site and of others, if there is such. */
  #saveTogether(site: number): boolean {
    const number = this.frames.savedBy[site]!;
    if (number === -1) return false;
    this.out.i32Const(this.firstSite + site).localSet(this.#sharedSite);
    this.branch(op.br, number + 1);
    return true;
  }

  #saveAlone(site: number): void {
    this.#save(this.frames.sites[site]!, () => this.out.i32Const(this.firstSite + site));
  }

  #save({ values, shape }: FrameContent, putSite: () => void): void {
    const locals = values.map((value) => this.localOf(value));
    this.context.frameHelpers.save(this.out, shape, locals, putSite);
  }

  /** A store or bulk operation. What it wrote is marked after it, so that a mark is never early. */
  #store(i: number): void {
    const { code, immediate } = this.code;
    const source = this.analysis.addresses.get(i)!;
    const isStore = opInfo(code[i]!)!.stores > 0;
    const depth = source.kind === "operand" ? source.depth : -1;
    const length = isStore ? -1 : this.addLengthTemporary();
    if (!isStore) this.out.localTee(length);
    copyInstruction(this.out, this.code, i);
    const address = (): void => {
      if (source.kind === "constant") this.out.i32Const(source.value);
      else this.out.localGet(source.kind === "local" ? source.local : this.temporary(depth, I32));
    };
    if (!isStore) {
      this.#marks.flush();
      address();
      this.out.localGet(length).call(this.context.stateHelpers.markRange());
      return;
    }
    const offset = immediate[i]! >>> 0;
    const steady = this.#steady.get(i);
    if (steady !== undefined) {
      if (steady === MARKED_BY_ANOTHER) return;
      address();
      this.out.localSet(steady);
    } else if (source.kind === "constant") this.#marks.storedAt((source.value >>> 0) + offset);
    else if (source.kind === "local") this.#marks.stored(source.local, offset, opInfo(code[i]!)!.stores);
    else this.#marks.mark(this.temporary(depth, I32), offset);
  }

  #length: number | undefined;

  protected addLengthTemporary(): number {
    return (this.#length ??= this.addLocal(I32));
  }
}
