import { type CallGraph, functionType, typeKey } from "./call-graph.ts";
import { type FunctionCode, blockType } from "./function-code.ts";
import { describeFunction } from "./function-name.ts";
import { type FunctionType, refuse, type WasmModule } from "./module.ts";
import { EXTERNREF, FUNCREF, I32, op, opInfo } from "./opcodes.ts";

/** One value on the operand stack: how many values of the function lie under it, and its type. */
export interface Operand {
  readonly depth: number;
  readonly type: number;
}

/** A point at which the guest can be unwound and resumed. */
export interface Site {
  /**
   * entry: the poll of a function that closes a recursion. loop: the poll of a loop, taken at its head.
   * call: a call during which the guest may unwind. import: a blocking host call, which is issued again.
   */
  readonly kind: "entry" | "loop" | "call" | "import";
  /** Instruction; -1 for entry. */
  readonly instruction: number;
  /** Operands that have to survive. For an import its arguments are among them. */
  readonly pending: readonly Operand[];
  /** Locals that are read later, ascending. Filled by the liveness analysis. */
  live: readonly number[];
}

/** Values one instruction pushes: `types[0]` lies at `depth`. */
export interface Push {
  readonly depth: number;
  readonly types: readonly number[];
}

/** Where a store's address is to be had after the store, and the instruction that pushed it. */
export type AddressSource = { readonly producer: number } & (
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "local"; readonly local: number }
  | { readonly kind: "operand"; readonly depth: number }
);

export interface SiteAnalysis {
  readonly sites: readonly Site[];
  /** Site number by instruction, -1 elsewhere. */
  readonly siteAt: Int32Array;
  /** How many sites come before an instruction, the entry included. One more entry than instructions. */
  readonly sitesBefore: Uint32Array;
  /** 1 for an instruction that can never run; it is left out of the output. */
  readonly dead: Uint8Array;
  /** For a loop: 1 when its end is reached by falling through. */
  readonly fallsThrough: Uint8Array;
  /** Operands inside the innermost block, before a site or a structure; absent when there are none. */
  readonly operandsAt: ReadonlyMap<number, Push>;
  /** Parameters of a block, loop, if or else, by that instruction; absent when there are none. */
  readonly parametersAt: ReadonlyMap<number, Push>;
  /** Instructions whose results must also be kept in temporaries, for the sites that find them pending. */
  readonly keepForSites: ReadonlyMap<number, Push>;
  /** The same for the addresses of stores; only for the tracked variant. */
  readonly keepForMarks: ReadonlyMap<number, Push>;
  readonly addresses: ReadonlyMap<number, AddressSource>;
}

/** Whether a loop that polls holds no other site. */
export function hasOnlyItsPoll({ end }: FunctionCode, { sitesBefore }: SiteAnalysis, loop: number): boolean {
  const sites = sitesBefore[end[loop]!]! - sitesBefore[loop]!;
  return sites === 1;
}

const CLOSED_DEAD = 2;

interface ControlFrame {
  readonly instruction: number;
  readonly height: number;
  readonly type: FunctionType;
}

/** Follows the operand stack through a function and finds its sites. */
export function findSites(
  module: WasmModule,
  code: FunctionCode,
  graph: CallGraph,
  blockingImports: ReadonlySet<number>,
): SiteAnalysis {
  return new StackWalk(module, code, graph, blockingImports).run();
}

class StackWalk {
  readonly #module: WasmModule;
  readonly #code: FunctionCode;
  readonly #graph: CallGraph;
  readonly #blocking: ReadonlySet<number>;
  /** The operand stack: types, and the instructions that pushed them. */
  readonly #types: number[] = [];
  readonly #producers: number[] = [];
  /** How many operands there are now; what lies behind them was one before. */
  #height = 0;
  readonly #control: ControlFrame[] = [];
  readonly #sites: Site[] = [];
  readonly #siteAt: Int32Array;
  readonly #dead: Uint8Array;
  readonly #fallsThrough: Uint8Array;
  readonly #operandsAt = new Map<number, Push>();
  readonly #parametersAt = new Map<number, Push>();
  readonly #keepForSites = new Map<number, Push>();
  readonly #keepForMarks = new Map<number, Push>();
  readonly #addresses = new Map<number, AddressSource>();
  readonly #multiple = new Map<number, Push>();

  constructor(module: WasmModule, code: FunctionCode, graph: CallGraph, blocking: ReadonlySet<number>) {
    this.#module = module;
    this.#code = code;
    this.#graph = graph;
    this.#blocking = blocking;
    this.#siteAt = new Int32Array(code.count).fill(-1);
    this.#dead = new Uint8Array(code.count);
    this.#fallsThrough = new Uint8Array(code.count);
  }

  run(): SiteAnalysis {
    const { count } = this.#code;
    const sitesBefore = new Uint32Array(count + 1);
    if (this.#graph.recursive.has(this.#code.index)) this.#addSite("entry", -1, 0);
    this.#control.push({
      instruction: -1,
      height: 0,
      type: { params: [], results: this.#code.type.results },
    });
    for (let i = 0; i < count; i++) {
      sitesBefore[i] = this.#sites.length;
      const reachable = this.#step(i);
      if (!reachable) {
        const next = this.#skipDead(i + 1);
        sitesBefore.fill(this.#sites.length, i + 1, next + 1);
        i = next - 1;
      }
    }
    sitesBefore[count] = this.#sites.length;
    return {
      sites: this.#sites,
      siteAt: this.#siteAt,
      sitesBefore,
      dead: this.#dead,
      fallsThrough: this.#fallsThrough,
      operandsAt: this.#operandsAt,
      parametersAt: this.#parametersAt,
      keepForSites: this.#keepForSites,
      keepForMarks: this.#keepForMarks,
      addresses: this.#addresses,
    };
  }

  /** Marks what cannot be reached up to the end or else that closes the present block. @returns that instruction. */
  #skipDead(from: number): number {
    let nested = 0;
    for (let i = from; ; i++) {
      const code = this.#code.code[i]!;
      if (code === op.block || code === op.loop || code === op.if) nested++;
      else if (nested === 0 && (code === op.end || code === op.else)) {
        this.#closeDead(code);
        return i;
      } else if (code === op.end) nested--;
      this.#dead[i] = 1;
    }
  }

  #closeDead(code: number): void {
    const frame = this.#control.at(-1)!;
    if (code === op.end && frame.instruction >= 0) this.#fallsThrough[frame.instruction] = CLOSED_DEAD;
    this.#height = frame.height;
  }

  /** @returns false when what follows in the block cannot be reached. */
  #step(i: number): boolean {
    const code = this.#code.code[i]!;
    const immediate = this.#code.immediate[i]!;
    if (code > op.tableSet) {
      this.#operate(i, code);
      return true;
    }
    switch (code) {
      case op.localGet:
        this.#push(i, this.#code.locals[immediate]!);
        return true;
      case op.localTee:
        this.#producers[this.#height - 1] = i;
        return true;
      case op.localSet:
      case op.globalSet:
      case op.brIf:
      case op.drop:
        this.#height--;
        return true;
      case op.block:
      case op.loop:
      case op.if:
        this.#open(i, code);
        return true;
      case op.else: {
        const frame = this.#control.at(-1)!;
        this.#height = frame.height;
        this.#pushParameters(i, frame.type);
        return true;
      }
      case op.end: {
        const frame = this.#control.pop()!;
        if (frame.instruction >= 0) {
          this.#fallsThrough[frame.instruction] =
            this.#fallsThrough[frame.instruction] === CLOSED_DEAD ? 0 : 1;
          this.#height = frame.height;
          this.#pushAll(i, frame.type.results);
        }
        return true;
      }
      case op.br:
      case op.brTable:
      case op.return:
      case op.unreachable:
      case op.returnCall:
      case op.returnCallIndirect:
        return false;
      case op.select:
      case op.selectTyped:
        this.#height -= 3;
        this.#push(i, this.#types[this.#height]!);
        return true;
      case op.call:
        this.#call(i, functionType(this.#module, immediate), this.#graph.mayUnwind.has(immediate), immediate);
        return true;
      case op.callIndirect: {
        const type = this.#module.types[immediate]!;
        const mayUnwind = this.#graph.indirectMayUnwind.has(typeKey(type));
        this.#call(i, { params: [...type.params, I32], results: type.results }, mayUnwind, -1);
        return true;
      }
      case op.globalGet:
        this.#push(i, this.#module.globals[immediate]!.type);
        return true;
      case op.tableGet:
        this.#height--;
        this.#push(i, this.#module.tables[immediate]!.type);
        return true;
      case op.tableSet:
        this.#height -= 2;
        return true;
      default:
        // A nop.
        return true;
    }
  }

  /** An instruction whose operands do not depend on the module or on the stack, and `ref.null`. They push one value at most. */
  #operate(i: number, code: number): void {
    const { pops, pushes, stores } = opInfo(code)!;
    if (pops === undefined || pushes === undefined) {
      this.#push(i, this.#code.immediate[i]!);
      return;
    }
    if (stores > 0) this.#address(i, 2);
    else if (code === op.memoryCopy || code === op.memoryFill || code === op.memoryInit) this.#address(i, 3);
    this.#height -= pops.length;
    if (pushes.length > 0) this.#push(i, pushes[0]!);
  }

  #push(producer: number, type: number): void {
    this.#types[this.#height] = type;
    this.#producers[this.#height++] = producer;
  }

  #pushAll(producer: number, types: readonly number[]): void {
    if (types.length > 1) this.#multiple.set(producer, { depth: this.#height, types });
    for (let n = 0; n < types.length; n++) this.#push(producer, types[n]!);
  }

  #pushParameters(i: number, type: FunctionType): void {
    if (type.params.length > 0) this.#parametersAt.set(i, { depth: this.#height, types: type.params });
    this.#pushAll(i, type.params);
  }

  #noteOperands(i: number): void {
    const depth = this.#control.at(-1)!.height;
    if (this.#height > depth)
      this.#operandsAt.set(i, { depth, types: this.#types.slice(depth, this.#height) });
  }

  #open(i: number, code: number): void {
    const type = blockType(this.#module, this.#code, i);
    this.#noteOperands(i);
    if (code === op.if) this.#height--;
    const height = this.#height - type.params.length;
    this.#height = height;
    this.#control.push({ instruction: i, height, type });
    this.#pushParameters(i, type);
    if (code === op.loop && this.#code.repeats[i] === 1) this.#addSite("loop", i, this.#height);
  }

  #call(i: number, type: FunctionType, mayUnwind: boolean, target: number): void {
    const under = this.#height - type.params.length;
    if (mayUnwind) {
      this.#noteOperands(i);
      const isImport = target >= 0 && this.#blocking.has(target);
      this.#addSite(isImport ? "import" : "call", i, isImport ? this.#height : under);
    }
    this.#height = under;
    this.#pushAll(i, type.results);
  }

  #addSite(kind: Site["kind"], instruction: number, height: number): void {
    const pending: Operand[] = [];
    for (let depth = 0; depth < height; depth++) {
      const type = this.#types[depth]!;
      if (type === FUNCREF || type === EXTERNREF)
        throw refuse("a reference held on the stack across a call", this.#where(instruction));
      pending.push({ depth, type });
      this.#keep(this.#keepForSites, depth);
    }
    if (instruction >= 0) this.#siteAt[instruction] = this.#sites.length;
    this.#sites.push({ kind, instruction, pending, live: [] });
  }

  #keep(where: Map<number, Push>, depth: number): void {
    const producer = this.#producers[depth]!;
    if (!where.has(producer))
      where.set(producer, this.#multiple.get(producer) ?? { depth, types: [this.#types[depth]!] });
  }

  /** Finds the address of a store (2 operands) or a bulk operation (3): the lowest of its operands. */
  #address(i: number, operands: number): void {
    const depth = this.#height - operands;
    const producer = this.#producers[depth]!;
    const immediate = this.#code.immediate[producer]!;
    if (!this.#keepForSites.has(producer)) {
      if (this.#code.code[producer] === op.i32Const) {
        this.#addresses.set(i, { producer, kind: "constant", value: immediate });
        return;
      }
      const isLocal = this.#code.code[producer] === op.localGet || this.#code.code[producer] === op.localTee;
      if (isLocal && !this.#writtenBetween(immediate, producer, i)) {
        this.#addresses.set(i, { producer, kind: "local", local: immediate });
        return;
      }
    }
    this.#keep(this.#keepForMarks, depth);
    this.#addresses.set(i, { producer, kind: "operand", depth });
  }

  #writtenBetween(local: number, from: number, to: number): boolean {
    const { code, immediate } = this.#code;
    for (let i = from + 1; i < to; i++)
      if ((code[i] === op.localSet || code[i] === op.localTee) && immediate[i] === local) return true;
    return false;
  }

  #where(instruction: number): string {
    return `${describeFunction(this.#module, this.#code.index)}, offset 0x${this.#code.start[Math.max(instruction, 0)]!.toString(16)}`;
  }
}
