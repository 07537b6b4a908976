import { CodeWriter } from "./code-writer.ts";
import { CONTROL, FRAME_TRAILER } from "./control-layout.ts";
import type { TypeTable } from "./type-table.ts";
import { BLOCK_VOID, F32, F64, I32, I64, op, V128 } from "./opcodes.ts";

/** Types of a frame's values, in the order of SAVABLE. */
export type FrameShape = readonly number[];

const STORE: Record<number, readonly number[]> = {
  [I32]: [0x36],
  [I64]: [0x37],
  [F32]: [0x38],
  [F64]: [0x39],
  [V128]: [0xfd, 0x0b],
};
const LOAD: Record<number, readonly number[]> = {
  [I32]: [0x28],
  [I64]: [0x29],
  [F32]: [0x2a],
  [F64]: [0x2b],
  [V128]: [0xfd, 0x00],
};
const SIZE: Record<number, number> = { [I32]: 4, [I64]: 8, [F32]: 4, [F64]: 8, [V128]: 16 };

const CONTROL_MEMORY = 1;
const HAS_MEMORY_INDEX = 0x40;

/** Bytes that values of these types take in a frame, before the trailer. */
const valueBytes = (shape: FrameShape): number => shape.reduce((sum, type) => sum + SIZE[type]!, 0);

/** Whole frame: values rounded up to 8 bytes, and the trailer. */
export const frameBytes = (shape: FrameShape): number => ((valueBytes(shape) + 7) & ~7) + FRAME_TRAILER;

/** Some values of one type. */
interface Run {
  readonly type: number;
  readonly count: number;
}

const LONGEST_RUN = 16;

/** A frame's values in runs of 16, 8, 4, 2 and 1 of one type, so that few helpers do for all shapes. */
function runsOf(shape: FrameShape): Run[] {
  const runs: Run[] = [];
  for (let index = 0; index < shape.length;) {
    const type = shape[index]!;
    let count = LONGEST_RUN;
    while (shape[index + count - 1] !== type) count /= 2;
    runs.push({ type, count });
    index += count;
  }
  return runs;
}

/** A load or store on the control memory with the least alignment, which is always valid. */
export function controlAccess(out: CodeWriter, opcode: readonly number[], offset: number): void {
  for (const byte of opcode) out.u8(byte);
  out.u8(HAS_MEMORY_INDEX).u8(CONTROL_MEMORY).u32(offset);
}

/** Marks the page whose number is on the stack. */
export function setMark(out: CodeWriter, release: boolean): void {
  out.i32Const(1);
  controlAccess(out, release ? ATOMIC_STORE8 : [op.i32Store8], CONTROL.dirtyMap);
}

/**
 * Functions that the rewriter adds: one `save` and one `restore` for each shape of frame, shared by all sites of that shape,
 * and what they need. They get their indexes when they are first asked for.
 */
export class FrameHelpers {
  readonly #types: TypeTable;
  readonly #first: number;
  readonly #releaseMarks: boolean;
  readonly #byKey = new Map<string, number>();
  readonly #bodies: { readonly type: number; readonly body: Uint8Array }[] = [];

  /**
   * @param first index of the first helper in the function index space.
   * @param releaseMarks whether marks need a fence in front of them.
   */
  constructor(types: TypeTable, first: number, releaseMarks: boolean) {
    this.#types = types;
    this.#first = first;
    this.#releaseMarks = releaseMarks;
  }

  get functions(): readonly { readonly type: number; readonly body: Uint8Array }[] {
    return this.#bodies;
  }

  #helper(
    key: string,
    params: readonly number[],
    results: readonly number[],
    build: () => CodeWriter,
  ): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const body = build().u8(op.end).take();
    const index = this.#first + this.#bodies.length;
    this.#bodies.push({ type: this.#types.index(params, results), body });
    this.#byKey.set(key, index);
    return index;
  }

  /** `(bytes) -> address`: takes room at the end of the frames, growing the control memory when it has to. */
  push(): number {
    return this.#helper("push", [I32], [I32], () => {
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      out.i32Const(0);
      controlAccess(out, LOAD[I32]!, CONTROL.framesEnd);
      out.localTee(1).localGet(0).u8(op.i32Add).localTee(0);
      out.u8(op.memorySize).u32(CONTROL_MEMORY).i32Const(16).u8(op.i32Shl).u8(op.i32GtU);
      out.u8(op.if).u8(BLOCK_VOID);
      // 1 MiB more; a single frame is far smaller.
      out.i32Const(16).u8(op.memoryGrow).u32(CONTROL_MEMORY).i32Const(-1).u8(op.i32Eq);
      out.u8(op.if).u8(BLOCK_VOID).u8(op.unreachable).u8(op.end).u8(op.end);
      out.i32Const(0).localGet(0);
      controlAccess(out, STORE[I32]!, CONTROL.framesEnd);
      out.i32Const(0).i32Const(1);
      controlAccess(out, STORE[I32]!, CONTROL.saved);
      return out.localGet(1);
    });
  }

  /** `(values..., site) -> ()`: saves a frame. */
  save(shape: FrameShape): number {
    return this.#helper(`save ${shape.join()}`, [...shape, I32], [], () => {
      const out = new CodeWriter().u8(0);
      out.i32Const(frameBytes(shape)).call(this.push());
      let index = 0;
      for (const run of runsOf(shape)) {
        for (let n = 0; n < run.count; n++) out.localGet(index++);
        out.call(this.#storeRun(run));
      }
      return out.localGet(shape.length).i32Const(frameBytes(shape)).call(this.#storeTrailer());
    });
  }

  /** `(address, values...) -> address behind them`: stores some values of one type. */
  #storeRun({ type, count }: Run): number {
    const types = Array.from({ length: count }, () => type);
    return this.#helper(`store ${count} ${type}`, [I32, ...types], [I32], () => {
      const out = new CodeWriter().u8(0);
      for (let n = 0; n < count; n++) {
        out.localGet(0).localGet(n + 1);
        controlAccess(out, STORE[type]!, n * SIZE[type]!);
      }
      return out
        .localGet(0)
        .i32Const(count * SIZE[type]!)
        .u8(op.i32Add);
    });
  }

  /** `(address behind the values, site, bytes of the frame) -> ()` */
  #storeTrailer(): number {
    return this.#helper("trailer", [I32, I32, I32], [], () => {
      const out = new CodeWriter().u8(0);
      // Frames are sent to another host: nothing that lay in this memory before may be in them. Values end at 4 or at 8 bytes.
      out.localGet(0).i32Const(4).u8(op.i32And).u8(op.if).u8(BLOCK_VOID);
      out.localGet(0).i32Const(0);
      controlAccess(out, STORE[I32]!, 0);
      out.localGet(0).i32Const(4).u8(op.i32Add).localSet(0).u8(op.end);
      out.localGet(0).localGet(1);
      controlAccess(out, STORE[I32]!, 0);
      out.localGet(0).localGet(2);
      controlAccess(out, STORE[I32]!, 4);
      out.localGet(0).u8(op.i64Const).s32(0);
      controlAccess(out, STORE[I64]!, 8);
      return out;
    });
  }

  /** `() -> site`: the site of the outermost frame that is left. Its values stay for `restore`. */
  popSite(): number {
    return this.#helper("popSite", [], [I32], () => {
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      out.i32Const(0).i32Const(0);
      controlAccess(out, LOAD[I32]!, CONTROL.framesEnd);
      out.i32Const(FRAME_TRAILER).u8(op.i32Sub).localTee(0);
      controlAccess(out, STORE[I32]!, CONTROL.framesEnd);
      out.localGet(0);
      controlAccess(out, LOAD[I32]!, 0);
      return out;
    });
  }

  /** `() -> values...`: takes the values of the frame whose site was popped. */
  restore(shape: FrameShape): number {
    return this.#helper(`restore ${shape.join()}`, [], shape, () => {
      const out = new CodeWriter().u8(0);
      out.i32Const(frameBytes(shape) - FRAME_TRAILER).call(this.#popValues());
      for (const run of runsOf(shape)) out.call(this.#loadRun(run));
      return out;
    });
  }

  /** `(bytes) -> ()`: takes as many from the end of the frames, for `loadRun` to read. */
  #popValues(): number {
    return this.#helper("popValues", [I32], [], () => {
      const out = new CodeWriter().u8(0);
      out.i32Const(0).i32Const(0);
      controlAccess(out, LOAD[I32]!, CONTROL.framesEnd);
      out.localGet(0).u8(op.i32Sub).localTee(0);
      controlAccess(out, STORE[I32]!, CONTROL.framesEnd);
      out.i32Const(0).localGet(0);
      controlAccess(out, STORE[I32]!, CONTROL.valuesRead);
      return out;
    });
  }

  /** `() -> values...`: reads the next values, of one type. */
  #loadRun({ type, count }: Run): number {
    const types = Array.from({ length: count }, () => type);
    return this.#helper(`load ${count} ${type}`, [], types, () => {
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      out.i32Const(0).i32Const(0);
      controlAccess(out, LOAD[I32]!, CONTROL.valuesRead);
      out
        .localTee(0)
        .i32Const(count * SIZE[type]!)
        .u8(op.i32Add);
      controlAccess(out, STORE[I32]!, CONTROL.valuesRead);
      for (let n = 0; n < count; n++) {
        out.localGet(0);
        controlAccess(out, LOAD[type]!, n * SIZE[type]!);
      }
      return out;
    });
  }

  /** `() -> ordinal`: which function the outermost frame belongs to, as the host wrote it into the trailer. */
  topOrdinal(): number {
    return this.#helper("topOrdinal", [], [I32], () => {
      const out = new CodeWriter().u8(0).i32Const(0);
      controlAccess(out, LOAD[I32]!, CONTROL.framesEnd);
      out.i32Const(FRAME_TRAILER).u8(op.i32Sub);
      controlAccess(out, LOAD[I32]!, 8);
      return out;
    });
  }

  /** `(address) -> ()`: marks the page of an address dirty. */
  mark(): number {
    return this.#helper("mark", [I32], [], () => {
      const out = new CodeWriter().u8(0).localGet(0).i32Const(12).u8(op.i32ShrU);
      setMark(out, this.#releaseMarks);
      return out;
    });
  }

  /** `(address, length) -> ()`: marks a range of guest memory dirty. */
  markRange(): number {
    return this.#helper("markRange", [I32, I32], [], () => {
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      const page = (): CodeWriter => out.i32Const(12).u8(op.i32ShrU);
      out.localGet(1).u8(op.i32Eqz).u8(op.if).u8(BLOCK_VOID).u8(op.return).u8(op.end);
      if (this.#releaseMarks) for (const byte of ATOMIC_FENCE) out.u8(byte);
      out.localGet(0);
      page().localTee(2).i32Const(CONTROL.dirtyMap).u8(op.i32Add).i32Const(1);
      out.localGet(0).localGet(1).u8(op.i32Add).i32Const(1).u8(op.i32Sub);
      page().localGet(2).u8(op.i32Sub).i32Const(1).u8(op.i32Add);
      return out.u8(0xfc).u32(11).u32(CONTROL_MEMORY);
    });
  }

  /** Pushes all mutable globals, as `loadState` takes them. */
  saveGlobals(list: readonly GlobalVariable[]): number {
    return this.#helper("saveGlobals", [], [], () => {
      const push = this.push();
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      out.i32Const(globalBytes(list)).call(push).localSet(0);
      let offset = 0;
      for (const { index, type } of list) {
        out.localGet(0).u8(op.globalGet).u32(index);
        controlAccess(out, STORE[type]!, offset);
        offset += SIZE[type]!;
      }
      return out;
    });
  }

  /** `(address) -> ()`: makes a new instance what the old one was: loads the globals, drops the dropped segments. */
  loadState(
    list: readonly GlobalVariable[],
    segments: { readonly data: number; readonly elements: number },
  ): number {
    return this.#helper("loadState", [I32], [], () => {
      const out = new CodeWriter().u8(0);
      let offset = 0;
      for (const { index, type } of list) {
        out.localGet(0);
        controlAccess(out, LOAD[type]!, offset);
        out.u8(op.globalSet).u32(index);
        offset += SIZE[type]!;
      }
      for (let segment = 0; segment < segments.data + segments.elements; segment++) {
        out.i32Const(segment);
        controlAccess(out, [I32_LOAD8_U], CONTROL.dropped);
        out.u8(op.if).u8(BLOCK_VOID);
        if (segment < segments.data)
          out
            .u8(0xfc)
            .u32(op.dataDrop & 0xffff)
            .u32(segment);
        else
          out
            .u8(0xfc)
            .u32(op.elemDrop & 0xffff)
            .u32(segment - segments.data);
        out.u8(op.end);
      }
      return out;
    });
  }
}

const I32_LOAD8_U = 0x2d;
const ATOMIC_FENCE = [0xfe, 0x03, 0x00];
const ATOMIC_STORE8 = [0xfe, 0x19];

export interface GlobalVariable {
  readonly index: number;
  readonly type: number;
}

/** Bytes of these globals together. */
export const globalBytes = (list: readonly GlobalVariable[]): number =>
  valueBytes(list.map(({ type }) => type));
