import { BLOCK_VOID, I32, op } from "./opcodes.ts";
import type { AnalysedFunction, ModuleContext } from "./body-emitter.ts";
import { FunctionEmitter, UNWIND_TAG } from "./emit-function.ts";
import { frameBytes, runsOf, ZERO } from "./frame-shape.ts";
import type { Push } from "./sites.ts";

/** Where the dispatch at the head of a sequence sends a site: to a label, or, for the site of a loop's own poll, on. */
interface Route {
  /** First and last + 1 of the sites that take it, as values of the site local. */
  readonly from: number;
  readonly to: number;
  /** Value of `open` inside the block that ends where the site is; undefined: clear the site local and go on. */
  readonly label: number | undefined;
}

/** A branch table longer than this is a chain of comparisons instead. */
const MOST_TABLE_ENTRIES = 60_000;
/** As many jumps are comparisons at most; more are a table where that is not much longer. */
const MOST_COMPARISONS = 2;

/**
 * Emits the resume copy of a function. It takes no parameters: it reloads its frame and goes to the site where the frame
 * was saved. There it calls the resume copy of the callee, which continues the same way; from then on it is the
 * original code.
 *
 * The way to a site: every sequence of instructions with sites or structures that contain some is cut before each of them.
 * The part before a cut becomes a block, so that a branch out of that block lands at the cut. At a cut the operand
 * stack is moved into temporaries and back, as a branch cannot carry it. A dispatch at the head of the sequence
 * branches when the site local is not 0. Where a sequence begins with a block, its dispatch moves into that block, which
 * makes one dispatch of the nested blocks of a switch.
 */
export class ResumeEmitter extends FunctionEmitter {
  /** Local: 1 + number of the site that is being resumed, 0 once it is reached. */
  readonly #site: number;
  /** Local: 1 + number of the last site that was reached, whose frame is saved when the guest is left. */
  readonly #reached: number;
  readonly #firstMask: number;
  #inherited: readonly Route[] = [];
  /** True until the first point that is also reached with the site local 0. */
  #certain = true;

  constructor(context: ModuleContext, fn: AnalysedFunction) {
    super(context, fn);
    this.#site = this.addLocal(I32);
    this.#reached = this.addLocal(I32);
    this.#firstMask = fn.firstMask;
  }

  override emit(): Uint8Array {
    this.out.call(this.context.frameHelpers.popSite());
    this.out
      .i32Const(this.firstSite - 1)
      .u8(op.i32Sub)
      .localSet(this.#site);
    this.#restoreFrame();
    this.enter(op.try);
    this.writeBlockType({ params: [], results: this.code.type.results });
    this.sequence(0, this.code.count - 1, -1);
    this.out.u8(op.catch).u32(UNWIND_TAG);
    this.#saveFrame();
    this.out.u8(op.rethrow).u32(0);
    this.leave();
    return this.finish(this.code.locals);
  }

  /** Temporaries are set at the cuts; instructions need not keep anything for sites. */
  protected override keptForSites(): Push | undefined {
    return undefined;
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
    this.#openMask(this.#site);
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

  #reach(site: number): void {
    this.out.i32Const(site + 1).localSet(this.#reached);
  }

  /** The function's handler saves the frame. */
  protected override throwUnwind(site: number): void {
    this.#forgetWritten(site);
    this.#reach(site);
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

  protected override sequence(from: number, to: number, loop: number): void {
    const inherited = this.#inherited;
    this.#inherited = [];
    const children = this.#children(from, to);
    const poll =
      loop >= 0
        ? this.analysis.siteAt[loop]!
        : from === 0 && this.analysis.sites[0]?.kind === "entry"
          ? 0
          : -1;
    if (children.length === 0 && inherited.length === 0 && poll < 0) {
      // Without a site there is no way to here as long as one is looked for.
      if (this.#certain) this.out.u8(op.unreachable);
      else super.sequence(from, to, loop);
      return;
    }
    if (loop >= 0) this.#certain = false;
    const parameters = from > 0 ? this.analysis.parametersAt.get(from - 1) : undefined;
    if (parameters !== undefined) this.spill(parameters);
    const startsWithChild = children[0] === from && parameters === undefined;
    const cuts = startsWithChild ? children.slice(1) : children;
    for (let n = 0; n < cuts.length; n++) this.enter(op.block).u8(BLOCK_VOID);
    const routes: Route[] = poll < 0 ? [] : [{ from: poll + 1, to: poll + 2, label: undefined }];
    for (let n = 0; n < cuts.length; n++) {
      const [first, last] = this.#sitesOf(cuts[n]!);
      routes.push({ from: first + 1, to: last + 1, label: this.open - n });
    }
    routes.push(...inherited);
    if (startsWithChild && this.code.code[from] === op.block) {
      this.#inherited = routes;
    } else {
      this.#dispatch(routes, startsWithChild);
      // A poll that is reached here goes on with what follows.
      if (routes.some(({ label }) => label === undefined)) this.#certain = false;
      if (parameters !== undefined) this.reload(parameters);
    }
    let position = from;
    if (startsWithChild) position = this.#child(from);
    for (const cut of cuts) {
      const operands = this.analysis.operandsAt.get(cut);
      // What lies in front of the first site was run before the guest was left, and is not run again.
      if (this.#certain) this.out.u8(op.unreachable);
      else {
        super.sequence(position, cut, -1);
        if (operands !== undefined) this.spill(operands);
      }
      this.leave();
      if (operands !== undefined) this.#reloadUnder(cut, operands);
      position = this.#child(cut);
    }
    this.#certain = false;
    super.sequence(position, to, -1);
  }

  /** Sites of this level and structures that contain sites. */
  #children(from: number, to: number): number[] {
    const { code, end } = this.code;
    const { siteAt, sitesBefore, dead } = this.analysis;
    const found: number[] = [];
    if (sitesBefore[to] === sitesBefore[from]) return found;
    for (let i = from; i < to; i++) {
      const opcode = code[i]!;
      if (opcode > op.callIndirect || dead[i] === 1) continue;
      if (opcode === op.block || opcode === op.loop || opcode === op.if) {
        if (sitesBefore[end[i]!] !== sitesBefore[i]) found.push(i);
        i = end[i]!;
      } else if (siteAt[i]! >= 0) found.push(i);
    }
    return found;
  }

  /** Numbers of the sites at or in an instruction: first, last + 1. */
  #sitesOf(i: number): [number, number] {
    const { siteAt, sitesBefore } = this.analysis;
    const opcode = this.code.code[i];
    const isStructure = opcode === op.block || opcode === op.loop || opcode === op.if;
    return isStructure ? [sitesBefore[i]!, sitesBefore[this.code.end[i]!]!] : [siteAt[i]!, siteAt[i]! + 1];
  }

  #child(i: number): number {
    let next = i + 1;
    if (this.analysis.siteAt[i]! >= 0 && this.code.code[i] !== op.loop) this.site(i);
    else next = this.instruction(i);
    this.#certain = false;
    return next;
  }

  /** After a cut: puts back the operands that the child finds, and for an if the condition that leads to the site. */
  #reloadUnder(child: number, operands: Push): void {
    const opcode = this.code.code[child];
    let taken = 0;
    if (opcode === op.if) taken = 1;
    else if (opcode === op.call) taken = this.calleeType(child).params.length;
    else if (opcode === op.callIndirect) taken = this.calleeType(child).params.length + 1;
    const kept = operands.types.length - taken;
    this.reload({ depth: operands.depth, types: operands.types.slice(0, kept) });
    if (opcode === op.if) this.#condition(child, this.temporary(operands.depth + kept, I32));
  }

  /** The condition of an if: its own value, or, on the way to a site, whether the site lies in the first arm. */
  #condition(i: number, value: number): void {
    const { sitesBefore } = this.analysis;
    const first = sitesBefore[i]!;
    const otherwise = this.code.elseOf[i]!;
    const count = sitesBefore[otherwise > 0 ? otherwise : this.code.end[i]!]! - first;
    this.out.localGet(value);
    this.out
      .localGet(this.#site)
      .i32Const(first + 1)
      .u8(op.i32Sub);
    this.out.i32Const(count).u8(op.i32LtU);
    this.out.localGet(this.#site).u8(op.i32Eqz).u8(op.select);
  }

  /** Outside of loops a resume copy runs once. */
  protected override markHelper(): number | undefined {
    return this.loops === 0 || this.marksSeldom ? this.context.stateHelpers.mark() : undefined;
  }

  /** On the way to a site nothing is polled: the loop that is resumed goes on for one iteration at least. */
  protected override pollAtHead(loop: number): void {
    const parameters = this.analysis.parametersAt.get(loop);
    if (parameters !== undefined) {
      this.spill(parameters);
      this.reload(parameters);
    }
    this.loadFlag();
    this.enter(op.if).u8(BLOCK_VOID);
    this.out.localGet(this.#site).u8(op.i32Eqz);
    this.enter(op.if).u8(BLOCK_VOID);
    this.throwUnwind(this.analysis.siteAt[loop]!);
    this.leave();
    this.leave();
  }

  #clearSite(): void {
    this.out.i32Const(0).localSet(this.#site);
  }

  /**
   * Sends the site that is being resumed on its way. What falls through has no site any more, or, where the first child
   * follows at once, one of that child's.
   */
  #dispatch(routes: readonly Route[], childFollows: boolean): void {
    const poll = routes.find(({ label }) => label === undefined);
    // Ascending, and all behind the poll.
    const jumps = routes.filter(({ label }) => label !== undefined);
    if (jumps.length > 0) {
      const span = jumps.at(-1)!.to - jumps[0]!.from;
      if (jumps.length <= MOST_COMPARISONS || span > 8 * jumps.length || span > MOST_TABLE_ENTRIES)
        this.#compare(jumps, poll === undefined && !childFollows);
      else this.#tabulate(jumps, span);
    }
    if (poll === undefined) return;
    if (childFollows) {
      this.out.localGet(this.#site).i32Const(poll.from).u8(op.i32Eq);
      this.enter(op.if).u8(BLOCK_VOID);
      this.#clearSite();
      this.leave();
    } else this.#clearSite();
  }

  /** @param isRest true when no site but those of these jumps can come here. */
  #compare(jumps: readonly Route[], isRest: boolean): void {
    const many = jumps.length > MOST_COMPARISONS && !this.#certain;
    if (many) {
      this.enter(op.block).u8(BLOCK_VOID);
      this.out.localGet(this.#site).u8(op.i32Eqz);
      this.branch(op.brIf, this.open);
    }
    for (let n = jumps.length - 1; n >= 0; n--) {
      const { from, label } = jumps[n]!;
      const isLast = n === 0 && isRest;
      if (isLast && this.#certain) {
        this.branch(op.br, label!);
        continue;
      }
      this.out.localGet(this.#site);
      if (!isLast) this.out.i32Const(from).u8(op.i32GeU);
      this.branch(op.brIf, label!);
    }
    if (many) this.leave();
  }

  #tabulate(jumps: readonly Route[], span: number): void {
    this.enter(op.block).u8(BLOCK_VOID);
    this.out.localGet(this.#site).i32Const(jumps[0]!.from).u8(op.i32Sub);
    this.out.u8(op.brTable).u32(span);
    for (const [n, { from, to, label }] of jumps.entries()) {
      const next = jumps[n + 1]?.from ?? to;
      for (let value = from; value < next; value++) this.out.u32(this.open - label!);
    }
    this.out.u32(0);
    this.leave();
  }

  /** A call: the callee's resume copy on the way to the site, otherwise the callee with the arguments from their temporaries. */
  protected override site(i: number): void {
    const number = this.analysis.siteAt[i]!;
    const { kind } = this.analysis.sites[number]!;
    const results = this.calleeType(i).results;
    const takes = this.calleeType(i).params.length + (this.code.code[i] === op.callIndirect ? 1 : 0);
    const operands = this.analysis.operandsAt.get(i);
    const callWithArguments = (): void => {
      if (operands !== undefined && takes > 0) {
        const under = operands.types.length - takes;
        this.reload({ depth: operands.depth + under, types: operands.types.slice(under) });
      }
      this.copyCall(i);
    };
    this.#reach(number);
    if (kind === "import") {
      this.#clearSite();
      callWithArguments();
    } else {
      this.out.localGet(this.#site);
      this.enter(op.if);
      this.writeBlockType({ params: [], results });
      this.#clearSite();
      this.#callResume(i, results);
      this.out.u8(op.else);
      callWithArguments();
      this.leave();
    }
    this.keep(i);
  }

  /** The frame above may belong to any function behind an indirect call or one that left by a tail call: its ordinal tells. */
  #callResume(i: number, results: readonly number[]): void {
    const target = this.code.immediate[i]!;
    const known = this.code.code[i] === op.call && !this.context.mayTailCall(target);
    const direct = known ? this.context.resumeIndex(target) : undefined;
    if (direct !== undefined) {
      this.out.call(direct);
      return;
    }
    this.out.call(this.context.frameHelpers.topOrdinal());
    this.out.u8(op.callIndirect).u32(this.context.types.index([], results)).u32(this.context.resumeTable);
  }
}
