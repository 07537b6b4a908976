import { BLOCK_VOID, I32, op } from "./opcodes.ts";
import { MOST_TABLE_ENTRIES, ResumeFrames } from "./resume-frames.ts";
import type { Push } from "./sites.ts";

/** Where the dispatch at the head of a sequence sends a site: to a label, or, for the site of a loop's own poll, on. */
interface Route {
  /** First and last + 1 of the sites that take it, as values of the site local. */
  readonly from: number;
  readonly to: number;
  /** Value of `open` inside the block that ends where the site is; undefined: clear the site local and go on. */
  readonly label: number | undefined;
}

/** As many jumps are comparisons at most; more are a table where that is not much longer. */
const MOST_COMPARISONS = 2;

/**
 * Emits the resume copy of a function. What it begins and ends with is in {@link ResumeFrames}; from the site on it is the original
 * code.
 *
 * The way to a site: every sequence of instructions with sites or structures that contain some is cut at each of them: behind a
 * call, in front of everything else. The part before a cut becomes a block, so that a branch out of that block lands at the cut. At
 * a cut the operand stack is moved into temporaries and back, as a branch cannot carry it. A dispatch at the head of the sequence
 * branches when the site local is not 0. Where a sequence begins with a block, its dispatch moves into that block, which
 * makes one dispatch of the nested blocks of a switch.
 */
export class ResumeEmitter extends ResumeFrames {
  #inherited: readonly Route[] = [];
  /** Whether something that is reached from the present sequence asks which site is looked for: a dispatch, a condition, a poll. */
  #asksBehind = false;
  /** True until the first point that is also reached with the site local 0. */
  #certain = true;

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
    this.reach(this.analysis.siteAt[child]!);
    this.copyCall(child);
    if (this.#isDropped(child)) this.out.u8(op.drop);
    else this.setResults(this.calleeType(child).results);
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
      for (const local of this.resultLocals(results)) this.out.localGet(local);
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

  /** The condition of an if: its own value, or, on the way to a site, whether the site lies in the first arm. */
  #condition(i: number, value: number): void {
    const { sitesBefore } = this.analysis;
    const first = sitesBefore[i]!;
    const otherwise = this.code.elseOf[i]!;
    const count = sitesBefore[otherwise > 0 ? otherwise : this.code.end[i]!]! - first;
    this.out.localGet(value);
    this.out
      .localGet(this.siteLocal)
      .i32Const(first + 1)
      .u8(op.i32Sub);
    this.out.i32Const(count).u8(op.i32LtU);
    this.out.localGet(this.siteLocal).u8(op.i32Eqz).u8(op.select);
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
    this.out.localGet(this.siteLocal).u8(op.i32Eqz).u8(op.i32And);
    this.enter(op.if).u8(BLOCK_VOID);
    this.throwUnwind(this.analysis.siteAt[loop]!);
    this.leave();
  }

  #clearSite(): void {
    this.out.i32Const(0).localSet(this.siteLocal);
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
      this.out.localGet(this.siteLocal).i32Const(poll.from).u8(op.i32Eq);
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
      this.out.localGet(this.siteLocal).u8(op.i32Eqz);
      this.branch(op.brIf, this.open);
    }
    for (let n = jumps.length - 1; n >= 0; n--) {
      const { from, label } = jumps[n]!;
      const isLast = n === 0 && isRest;
      if (isLast && this.#certain) {
        this.branch(op.br, label!);
        continue;
      }
      this.out.localGet(this.siteLocal);
      if (!isLast) this.out.i32Const(from).u8(op.i32GeU);
      this.branch(op.brIf, label!);
    }
    if (many) this.leave();
  }

  #tabulate(jumps: readonly Route[], span: number): void {
    this.enter(op.block).u8(BLOCK_VOID);
    this.out.localGet(this.siteLocal).i32Const(jumps[0]!.from).u8(op.i32Sub);
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
    this.reach(this.analysis.siteAt[i]!);
    this.#clearSite();
    const operands = this.analysis.operandsAt.get(i);
    if (operands !== undefined) {
      const { length } = this.#under(i, operands).types;
      this.reload({ depth: operands.depth + length, types: operands.types.slice(length) });
    }
    this.copyCall(i);
    this.keep(i);
  }
}
