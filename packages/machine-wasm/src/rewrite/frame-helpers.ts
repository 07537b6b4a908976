import { CodeWriter } from "./code-writer.ts";
import {
  controlAccess,
  CONTROL_MEMORY,
  LOAD,
  LOAD8_U,
  loadWord,
  STORE,
  storeWord,
} from "./control-access.ts";
import { CONTROL, FRAME_TRAILER } from "./control-layout.ts";
import { type FrameShape, isSavedByFunction, type Run, SIZE, ZERO } from "./frame-shape.ts";
import type { HelperFunctions } from "./helper-functions.ts";
import { BLOCK_VOID, I32, I64, op } from "./opcodes.ts";

/** Locals of a function: groups of a count and a type. */
const ONE_I32 = [1, 1, I32];

/** Starts a function that has one i32 local beside its parameters. */
function withLocal(): CodeWriter {
  const out = new CodeWriter();
  for (const byte of ONE_I32) out.u8(byte);
  return out;
}

/** Pushes where the frame begins whose trailer is at local 0. */
function putStart(out: CodeWriter): void {
  out.localGet(0).i32Const(FRAME_TRAILER).u8(op.i32Add).localGet(0);
  controlAccess(out, LOAD[I32]!, 4);
  out.u8(op.i32Sub);
}

/**
 * Functions that save and take frames. A fast copy saves the frame of a site with one call, of a function for each frequent shape. A
 * resume copy has one piece of code for all of its sites, which names each value that any of them holds; a mask of the site
 * says which its frame has.
 */
export class FrameHelpers {
  readonly #functions: HelperFunctions;
  readonly #maskSegment: number;

  /** @param maskSegment number of the data segment with all masks. */
  constructor(functions: HelperFunctions, maskSegment: number) {
    this.#functions = functions;
    this.#maskSegment = maskSegment;
  }

  /** `(bytes) -> ()`: sees to it that there is room for as many behind the frames, and notes that some are saved. */
  #reserve(): number {
    return this.#functions.index("reserve", [I32], [], () => {
      const out = new CodeWriter().u8(0);
      loadWord(out, CONTROL.framesEnd).localGet(0).u8(op.i32Add);
      out.u8(op.memorySize).u32(CONTROL_MEMORY).i32Const(16).u8(op.i32Shl).u8(op.i32GtU);
      out.u8(op.if).u8(BLOCK_VOID);
      // 1 MiB more, as much as the globals take at most; a single frame is far smaller.
      out.i32Const(16).u8(op.memoryGrow).u32(CONTROL_MEMORY).i32Const(-1).u8(op.i32Eq);
      out.u8(op.if).u8(BLOCK_VOID).u8(op.unreachable).u8(op.end).u8(op.end);
      return storeWord(out, CONTROL.saved, () => out.i32Const(1));
    });
  }

  /** `(bytes) -> address`: takes room at the end of the frames. */
  push(): number {
    return this.#functions.index("push", [I32], [I32], () => {
      const reserve = this.#reserve();
      const out = withLocal();
      out.localGet(0).call(reserve);
      loadWord(out, CONTROL.framesEnd).localSet(1);
      storeWord(out, CONTROL.framesEnd, () => out.localGet(1).localGet(0).u8(op.i32Add));
      return out.localGet(1);
    });
  }

  /** Writes code that saves a frame with the values of these locals, and of the site that `putSite` pushes. */
  save(out: CodeWriter, shape: FrameShape, locals: readonly number[], putSite: () => void): void {
    if (!isSavedByFunction(shape)) {
      this.#saveInPlace(out, shape, locals, putSite);
      return;
    }
    for (let n = 0; n < locals.length; n++) out.localGet(locals[n]!);
    putSite();
    out.call(this.#save(shape));
  }

  /** `(values..., site) -> ()`: saves a frame. */
  #save(shape: FrameShape): number {
    // Each site asks: what only a new function needs is not made every time.
    const known = this.#functions.known(shape);
    if (known !== undefined) return known;
    const { types } = shape;
    return this.#functions.index(shape, [...types, I32], [], () => {
      const out = new CodeWriter().u8(0);
      this.#saveInPlace(out, shape, [...types.keys()], () => out.localGet(types.length));
      return out;
    });
  }

  #saveInPlace(
    out: CodeWriter,
    { runs, bytes }: FrameShape,
    locals: readonly number[],
    putSite: () => void,
  ): void {
    out.i32Const(bytes).call(this.push());
    let index = 0;
    for (const run of runs) {
      for (let n = 0; n < run.count; n++) out.localGet(locals[index++]!);
      out.call(this.#storeRun(run));
    }
    putSite();
    out.i32Const(bytes).call(this.#storeTrailer());
  }

  /** `(address, values...) -> address behind them`: stores some values of one type. */
  #storeRun({ type, count }: Run): number {
    const types = Array.from({ length: count }, () => type);
    return this.#functions.index(`store ${count} ${type}`, [I32, ...types], [I32], () => {
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
    return this.#functions.index("trailer", [I32, I32, I32], [], () => {
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

  /**
   * `() -> site`: takes the trailer of the outermost frame that is left. {@link takeRun} then reads its values. They count as left up
   * to {@link endTake}, so that a guest that runs out of stack meanwhile is known not to have gone on.
   */
  popSite(): number {
    return this.#functions.index("popSite", [], [I32], () => {
      const out = withLocal();
      loadWord(out, CONTROL.framesEnd).i32Const(FRAME_TRAILER).u8(op.i32Sub).localSet(0);
      storeWord(out, CONTROL.framesEnd, () => out.localGet(0));
      storeWord(out, CONTROL.values, () => putStart(out));
      out.localGet(0);
      controlAccess(out, LOAD[I32]!, 0);
      return out;
    });
  }

  /** `() -> ()`: takes the values, too. */
  endTake(): number {
    return this.#functions.index("endTake", [], [], () => {
      const out = withLocal();
      loadWord(out, CONTROL.framesEnd).localSet(0);
      return storeWord(out, CONTROL.framesEnd, () => putStart(out));
    });
  }

  /** `(from, bytes) -> ()`: the mask that says which values {@link takeRun} and {@link putRun} are about, from its first bit on. */
  openMask(): number {
    return this.#functions.index("openMask", [I32, I32], [], () => {
      const out = new CodeWriter().u8(0);
      out.i32Const(CONTROL.mask).localGet(0).localGet(1);
      out.prefixed(op.memoryInit).u32(this.#maskSegment).u32(CONTROL_MEMORY);
      return storeWord(out, CONTROL.maskBit, () => out.i32Const(0));
    });
  }

  /** `() -> 0 or 1`: the next bit of the mask. */
  #nextBit(): number {
    return this.#functions.index("nextBit", [], [I32], () => {
      const out = withLocal();
      loadWord(out, CONTROL.maskBit).localSet(0);
      storeWord(out, CONTROL.maskBit, () => out.localGet(0).i32Const(1).u8(op.i32Add));
      out.localGet(0).i32Const(3).u8(op.i32ShrU);
      controlAccess(out, LOAD8_U, CONTROL.mask);
      return out.localGet(0).i32Const(7).u8(op.i32And).u8(op.i32ShrU).i32Const(1).u8(op.i32And);
    });
  }

  /** `() -> values...`: the next values, of one type; zeros for those that the frame has not. */
  takeRun({ type, count }: Run): number {
    const types = Array.from({ length: count }, () => type);
    return this.#functions.index(`take ${count} ${type}`, [], types, () => {
      if (count > 1) {
        const one = this.takeRun({ type, count: 1 });
        const out = new CodeWriter().u8(0);
        for (let n = 0; n < count; n++) out.call(one);
        return out;
      }
      const nextBit = this.#nextBit();
      const out = withLocal();
      out.call(nextBit).u8(op.if).u8(type);
      loadWord(out, CONTROL.values).localSet(0);
      storeWord(out, CONTROL.values, () => out.localGet(0).i32Const(SIZE[type]!).u8(op.i32Add));
      out.localGet(0);
      controlAccess(out, LOAD[type]!, 0);
      out.u8(op.else);
      for (const byte of ZERO[type]!) out.u8(byte);
      return out.u8(op.end);
    });
  }

  /** `(bytes) -> ()`: begins a frame of as many bytes at most; {@link putRun} adds its values. */
  beginFrame(): number {
    return this.#functions.index("beginFrame", [I32], [], () => {
      const reserve = this.#reserve();
      const out = new CodeWriter().u8(0);
      out.localGet(0).call(reserve);
      return storeWord(out, CONTROL.values, () => loadWord(out, CONTROL.framesEnd));
    });
  }

  /** `(values...) -> ()`: adds those of some values of one type that the mask names. */
  putRun({ type, count }: Run): number {
    const types = Array.from({ length: count }, () => type);
    return this.#functions.index(`put ${count} ${type}`, types, [], () => {
      if (count > 1) {
        const one = this.putRun({ type, count: 1 });
        const out = new CodeWriter().u8(0);
        for (let n = 0; n < count; n++) out.localGet(n).call(one);
        return out;
      }
      const nextBit = this.#nextBit();
      const out = new CodeWriter().u8(0);
      out.call(nextBit).u8(op.if).u8(BLOCK_VOID);
      loadWord(out, CONTROL.values).localGet(0);
      controlAccess(out, STORE[type]!, 0);
      storeWord(out, CONTROL.values, () => loadWord(out, CONTROL.values).i32Const(SIZE[type]!).u8(op.i32Add));
      return out.u8(op.end);
    });
  }

  /** `(site) -> ()`: completes the frame that was begun. */
  endFrame(): number {
    return this.#functions.index("endFrame", [I32], [], () => {
      const trailer = this.#storeTrailer();
      const out = withLocal();
      loadWord(out, CONTROL.values);
      loadWord(out, CONTROL.framesEnd).u8(op.i32Sub).i32Const(7).u8(op.i32Add).i32Const(-8).u8(op.i32And);
      out.i32Const(FRAME_TRAILER).u8(op.i32Add).localSet(1);
      loadWord(out, CONTROL.values).localGet(0).localGet(1).call(trailer);
      return storeWord(out, CONTROL.framesEnd, () =>
        loadWord(out, CONTROL.framesEnd).localGet(1).u8(op.i32Add),
      );
    });
  }

  /** `() -> ordinal`: which function the outermost frame belongs to, as the host wrote it into the trailer. */
  topOrdinal(): number {
    return this.#functions.index("topOrdinal", [], [I32], () => {
      const out = new CodeWriter().u8(0);
      loadWord(out, CONTROL.framesEnd).i32Const(FRAME_TRAILER).u8(op.i32Sub);
      controlAccess(out, LOAD[I32]!, 8);
      return out;
    });
  }
}
