import { CodeWriter } from "./code-writer.ts";
import { functionType } from "./call-graph.ts";
import { CONTROL } from "./control-layout.ts";
import { controlAccess, type FrameHelpers } from "./frame-helpers.ts";
import { blockType, type FunctionCode, tableLabels } from "./function-code.ts";
import type { FunctionType, WasmModule } from "./module.ts";
import { BLOCK_VOID, I32, op, opInfo, SAVABLE } from "./opcodes.ts";
import type { Push, Site, SiteAnalysis } from "./sites.ts";
import type { TypeTable } from "./type-table.ts";

/** What every function of one output module shares. */
export interface ModuleContext {
  readonly module: WasmModule;
  readonly types: TypeTable;
  readonly helpers: FrameHelpers;
  /** Whether stores are marked in the dirty map. */
  readonly tracked: boolean;
  /** Marks as release stores, for processors that reorder stores (Arm). */
  readonly releaseMarks: boolean;
  /** Function index of a function's resume copy; undefined when it has no frame of its own. */
  resumeIndex(index: number): number | undefined;
  mayTailCall(index: number): boolean;
  /** Index of the table of resume copies. */
  readonly resumeTable: number;
}

/** A function with its sites, and the number of its first site in the module. */
export interface AnalysedFunction {
  readonly code: FunctionCode;
  readonly analysis: SiteAnalysis;
  readonly firstSite: number;
}

/** The guest's unwind exception: the only tag of the module. */
const UNWIND_TAG = 0;

/**
 * Emits the fast copy of a function: the original code, where each call that may unwind has a handler that saves
 * the frame, each repeating loop polls at its latch, and, in the tracked variant, each store marks its page.
 */
export class FunctionEmitter {
  protected readonly context: ModuleContext;
  protected readonly code: FunctionCode;
  protected readonly analysis: SiteAnalysis;
  protected readonly firstSite: number;
  protected readonly out = new CodeWriter(1024);
  /** Blocks that are open in the output. */
  protected open = 0;
  /** For each block of the original that is open: the value of `open` inside the block that its label now means. */
  readonly #labels: number[] = [0];
  readonly #extraLocals: number[] = [];
  readonly #temporaries = new Map<number, number>();

  constructor(context: ModuleContext, fn: AnalysedFunction) {
    this.context = context;
    this.code = fn.code;
    this.analysis = fn.analysis;
    this.firstSite = fn.firstSite;
  }

  /** @returns the body: local declarations, code, end. */
  emit(): Uint8Array {
    if (this.analysis.sites[0]?.kind === "entry") {
      this.loadFlag();
      this.enter(op.if).u8(BLOCK_VOID);
      this.throwUnwind(0);
      this.leave();
    }
    this.sequence(0, this.code.count - 1, -1);
    return this.finish(this.code.locals.slice(this.code.type.params.length));
  }

  protected finish(declared: readonly number[]): Uint8Array {
    this.out.u8(op.end);
    const groups: { type: number; count: number }[] = [];
    for (const type of [...declared, ...this.#extraLocals]) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    const body = new CodeWriter(this.out.length + 16).u32(groups.length);
    for (const { type, count } of groups) body.u32(count).u8(type);
    return body.raw(this.out.view()).take();
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
    this.out.u8(opcode).u32(this.open - label);
  }

  /** Moves operands into their temporaries and leaves the stack without them. */
  protected spill({ depth, types }: Push): void {
    for (let n = types.length - 1; n >= 0; n--) this.out.localSet(this.temporary(depth + n, types[n]!));
  }

  protected reload({ depth, types }: Push): void {
    for (const [n, type] of types.entries()) this.out.localGet(this.temporary(depth + n, type));
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
    for (let i = from; i < to;) i = this.instruction(i);
  }

  /** Emits one instruction, with all it contains. @returns the one after it. */
  protected instruction(i: number): number {
    const { code, start, immediate, bytes } = this.code;
    if (this.analysis.dead[i] === 1) return i + 1;
    const opcode = code[i]!;
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
      case op.dataDrop:
      case op.elemDrop:
        this.out.copy(bytes, start[i]!, start[i + 1]!);
        this.#markDropped(
          opcode === op.dataDrop ? immediate[i]! : this.context.module.data.length + immediate[i]!,
        );
        return i + 1;
      default:
        if (this.context.tracked && this.analysis.addresses.has(i)) {
          this.#store(i);
          return i + 1;
        }
    }
    this.out.copy(bytes, start[i]!, start[i + 1]!);
    this.keep(i);
    return i + 1;
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

  /**
   * A repeating loop polls at its latch: every branch back now leaves the inner block, and the stop flag decides whether
   * the loop goes on. Neither a call nor a guard lies in the hot path.
   *
   *     block exit  loop head  block body ... br exit end  flag; eqz; br_if head; save; throw  end end
   */
  #loop(i: number): number {
    const end = this.code.end[i]!;
    const type = blockType(this.context.module, this.code, i);
    const parameters = this.analysis.parametersAt.get(i);
    this.enter(op.block);
    this.writeBlockType(type);
    const exit = this.open;
    this.enter(op.loop);
    this.writeBlockType(type);
    const head = this.open;
    this.enter(op.block);
    this.writeBlockType({ params: type.params, results: type.params });
    this.#labels.push(this.open);
    this.keep(i);
    this.sequence(i + 1, end, i);
    this.#labels.pop();
    if (this.analysis.fallsThrough[i] === 1) this.branch(op.br, exit);
    this.leave();
    if (parameters !== undefined) {
      this.spill(parameters);
      this.reload(parameters);
    }
    this.loadFlag();
    this.out.u8(op.i32Eqz);
    this.branch(op.brIf, head);
    this.throwUnwind(this.analysis.siteAt[i]!);
    this.leave();
    this.leave();
    this.keep(end);
    return end + 1;
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
    this.catchAndSave(this.analysis.siteAt[i]!);
    this.keep(i);
  }

  protected calleeType(i: number): FunctionType {
    const target = this.code.immediate[i]!;
    return this.code.code[i] === op.call
      ? functionType(this.context.module, target)
      : this.context.module.types[target]!;
  }

  protected copyCall(i: number): void {
    this.out.copy(this.code.bytes, this.code.start[i]!, this.code.start[i + 1]!);
  }

  /** Closes a try: saves the frame when the guest is being unwound, and passes the exception on. */
  protected catchAndSave(site: number): void {
    this.out.u8(op.catch).u32(UNWIND_TAG);
    this.#save(site);
    this.out.u8(op.rethrow).u32(0);
    this.leave();
  }

  protected throwUnwind(site: number): void {
    this.#save(site);
    this.out.u8(op.throw).u32(UNWIND_TAG);
  }

  #save(site: number): void {
    const values = this.frameValues(this.analysis.sites[site]!);
    for (const { local } of values) this.out.localGet(local);
    this.out.i32Const(this.firstSite + site);
    this.out.call(this.context.helpers.save(values.map(({ type }) => type)));
  }

  /** What a frame holds and in which locals it is to be found: live locals and pending operands, ordered by type. */
  protected frameValues(site: Site): { readonly type: number; readonly local: number }[] {
    const values = [
      ...site.live.map((local) => ({ type: this.code.locals[local]!, local })),
      ...site.pending.map(({ depth, type }) => ({ type, local: this.temporary(depth, type) })),
    ];
    return SAVABLE.flatMap((type) => values.filter((value) => value.type === type));
  }

  /** A store or bulk operation, and the mark for what it wrote: after it, so that a mark is never early. */
  #store(i: number): void {
    const { code, start, immediate, bytes } = this.code;
    const source = this.analysis.addresses.get(i)!;
    const isStore = opInfo(code[i]!)!.stores > 0;
    const depth = source.kind === "operand" ? source.depth : -1;
    const length = isStore ? -1 : this.addLengthTemporary();
    if (!isStore) this.out.localTee(length);
    this.out.copy(bytes, start[i]!, start[i + 1]!);
    const address = (): void => {
      if (source.kind === "constant") this.out.i32Const(source.value);
      else this.out.localGet(source.kind === "local" ? source.local : this.temporary(depth, I32));
    };
    if (!isStore) {
      address();
      this.out.localGet(length).call(this.context.helpers.markRange());
      return;
    }
    const offset = immediate[i]!;
    if (source.kind === "constant") {
      this.out.i32Const(((source.value >>> 0) + (offset >>> 0)) >>> 12);
    } else {
      address();
      if (offset !== 0) this.out.i32Const(offset).u8(op.i32Add);
      this.out.i32Const(12).u8(op.i32ShrU);
    }
    this.out.i32Const(1);
    const store = this.context.releaseMarks ? [0xfe, 0x19] : [op.i32Store8];
    controlAccess(this.out, store, CONTROL.dirtyMap);
  }

  #length: number | undefined;

  protected addLengthTemporary(): number {
    return (this.#length ??= this.addLocal(I32));
  }
}
