import { BLOCK_VOID, I32, op } from "./opcodes.ts";
import type { AnalysedFunction, ModuleContext } from "./body-emitter.ts";
import { FunctionEmitter, UNWIND_TAG } from "./emit-function.ts";
import { frameBytes, runsOf, ZERO } from "./frame-shape.ts";
import type { FunctionType } from "./module.ts";
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
 * Emits the resume copy of a function. It takes no parameters: it reloads its frame, and where that was saved during a call, it
 * calls the resume copy of the callee, which continues the same way. Then it goes to the site; from there on it is the
 * original code.
 *
 * The way to a site: every sequence of instructions with sites or structures that contain some is cut at each of them: behind a
 * call, in front of everything else. The part before a cut becomes a block, so that a branch out of that block lands at the cut. At
 * a cut the operand stack is moved into temporaries and back, as a branch cannot carry it. A dispatch at the head of the sequence
 * branches when the site local is not 0. Where a sequence begins with a block, its dispatch moves into that block, which
 * makes one dispatch of the nested blocks of a switch.
 */
export class ResumeEmitter extends FunctionEmitter {
  /** Local: 1 + number of the site that is being resumed, 0 once it is reached. */
  readonly #site: number;
  /** Local: 1 + number of the last site that was reached, whose frame is saved when the guest is left. */
  readonly #reached: number;
  readonly #firstMask: number;
  /** Locals with what a call has returned, by type: as many as any call returns of it. */
  readonly #results = new Map<number, number[]>();
  #inherited: readonly Route[] = [];
  /** Whether something that is reached from the present sequence asks which site is looked for: a dispatch, a condition, a poll. */
  #asksBehind = false;
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
      .localTee(this.#site)
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
    const routes: Route[] = poll < 0 ? [] : [{ from: poll + 1, to: poll + 2, label: undefined }];
    // What lies in front of the first site was run before the guest was left, and is not run again.
    const startsAtSite = this.#certain && [...routes, ...inherited].every(({ label }) => label !== undefined);
    const startsWithChild =
      parameters === undefined && children.length > 0 && (startsAtSite || this.#cut(children[0]!) === from);
    const cuts = startsWithChild ? children.slice(1) : children;
    for (let n = 0; n < cuts.length; n++) this.enter(op.block).u8(BLOCK_VOID);
    for (let n = 0; n < cuts.length; n++) {
      const [first, last] = this.#sitesOf(cuts[n]!);
      routes.push({ from: first + 1, to: last + 1, label: this.open - n });
    }
    routes.push(...inherited);
    if (startsWithChild && this.code.code[children[0]!] === op.block) {
      this.#inherited = routes;
    } else {
      this.#dispatch(routes, startsWithChild);
      // A poll that is reached here goes on with what follows.
      if (routes.some(({ label }) => label === undefined)) this.#certain = false;
      if (parameters !== undefined) this.reload(parameters);
    }
    let position = from;
    const asksBehind = this.#asksBehind;
    const lastAsking = children.findLast((child) => !this.#isResumed(child)) ?? -1;
    for (const child of children) {
      if (!startsWithChild || child !== children[0]) {
        if (this.#certain) this.out.u8(op.unreachable);
        else this.#untilCut(position, child);
        this.leave();
      }
      this.#asksBehind = asksBehind || child < lastAsking || this.code.repeats[child] === 1;
      position = this.#child(child);
    }
    this.#asksBehind = asksBehind;
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

  /** Whether it is a call whose callee is resumed; a blocking host call is issued again. */
  #isResumed(child: number): boolean {
    const site = this.analysis.siteAt[child]!;
    return site >= 0 && this.analysis.sites[site]!.kind === "call";
  }

  /** Whether nothing but a drop is done with what a call returns. */
  #isDropped(call: number): boolean {
    return this.calleeType(call).results.length === 1 && this.code.code[call + 1] === op.drop;
  }

  /** The instruction in front of which the way to a child ends. */
  #cut(child: number): number {
    return this.#isResumed(child) ? child + 1 : child;
  }

  /** Emits what leads to a child when no site is looked for, up to the cut, and leaves no operands. */
  #untilCut(from: number, child: number): void {
    super.sequence(from, child, -1);
    const operands = this.analysis.operandsAt.get(child);
    if (!this.#isResumed(child)) {
      if (operands !== undefined) this.spill(operands);
      return;
    }
    this.#reach(this.analysis.siteAt[child]!);
    this.copyCall(child);
    if (this.#isDropped(child)) this.out.u8(op.drop);
    else this.#setResults(this.calleeType(child).results);
    // What lies under the arguments is kept where it is made: it is part of the frame.
    const under = this.#under(child, operands);
    for (let n = 0; n < under.types.length; n++) this.out.u8(op.drop);
  }

  /** Emits a child, from the cut on. @returns the instruction behind it. */
  #child(child: number): number {
    const operands = this.analysis.operandsAt.get(child);
    if (this.#isResumed(child)) {
      this.#certain = false;
      if (this.#asksBehind) this.#clearSite();
      this.reload(this.#under(child, operands));
      if (this.#isDropped(child)) return child + 2;
      const { results } = this.calleeType(child);
      for (const local of this.#resultLocals(results)) this.out.localGet(local);
      this.keep(child);
      return child + 1;
    }
    if (operands !== undefined) this.#reloadUnder(child, operands);
    let next = child + 1;
    if (this.analysis.siteAt[child]! >= 0 && this.code.code[child] !== op.loop) this.site(child);
    else next = this.instruction(child);
    this.#certain = false;
    return next;
  }

  /** Those of the operands that an instruction leaves on the stack. */
  #under(i: number, operands: Push | undefined): Push {
    if (operands === undefined) return { depth: 0, types: [] };
    const opcode = this.code.code[i];
    let taken = 0;
    if (opcode === op.if) taken = 1;
    else if (opcode === op.call) taken = this.calleeType(i).params.length;
    else if (opcode === op.callIndirect) taken = this.calleeType(i).params.length + 1;
    return { depth: operands.depth, types: operands.types.slice(0, operands.types.length - taken) };
  }

  /** After a cut: puts back the operands that the child finds, and for an if the condition that leads to the site. */
  #reloadUnder(child: number, operands: Push): void {
    const under = this.#under(child, operands);
    this.reload(under);
    if (this.code.code[child] === op.if)
      this.#condition(child, this.temporary(under.depth + under.types.length, I32));
  }

  /** Where what a call returns is found behind it, however the guest came there. */
  #resultLocals(types: readonly number[]): number[] {
    const taken = new Map<number, number>();
    return types.map((type) => {
      const number = taken.get(type) ?? 0;
      taken.set(type, number + 1);
      let locals = this.#results.get(type);
      if (locals === undefined) this.#results.set(type, (locals = []));
      return (locals[number] ??= this.addLocal(type));
    });
  }

  #setResults(types: readonly number[]): void {
    for (const local of this.#resultLocals(types).toReversed()) this.out.localSet(local);
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
    this.out.localGet(this.#site).u8(op.i32Eqz).u8(op.i32And);
    this.enter(op.if).u8(BLOCK_VOID);
    this.throwUnwind(this.analysis.siteAt[loop]!);
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

  /** A blocking host call, with the arguments from their temporaries. */
  protected override site(i: number): void {
    this.#reach(this.analysis.siteAt[i]!);
    this.#clearSite();
    const operands = this.analysis.operandsAt.get(i);
    if (operands !== undefined) {
      const { length } = this.#under(i, operands).types;
      this.reload({ depth: operands.depth + length, types: operands.types.slice(length) });
    }
    this.copyCall(i);
    this.keep(i);
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
      this.#setResults(byType.get(index)!.results);
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
        .localGet(this.#site)
        .i32Const(first + 1)
        .u8(op.i32Sub);
      this.out.u8(op.brTable).u32(part.length);
      for (const left of part) this.out.u32(left + 1);
      this.out.u32(0);
      this.leave();
    }
  }
}
