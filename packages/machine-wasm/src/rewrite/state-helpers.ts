import { CodeWriter } from "./code-writer.ts";
import { controlAccess, CONTROL_MEMORY, LOAD, LOAD8_U, setMark, STORE } from "./control-access.ts";
import { CONTROL } from "./control-layout.ts";
import type { FrameHelpers } from "./frame-helpers.ts";
import { SIZE, valueBytes } from "./frame-shape.ts";
import type { HelperFunctions } from "./helper-functions.ts";
import { BLOCK_VOID, I32, op } from "./opcodes.ts";

export interface GlobalVariable {
  readonly index: number;
  readonly type: number;
}

/** Bytes of these globals together. */
export const globalBytes = (list: readonly GlobalVariable[]): number =>
  valueBytes(list.map(({ type }) => type));

const ATOMIC_FENCE = [0xfe, 0x03, 0x00];

/** Functions that mark guest memory dirty, and that carry what an instance holds to the next one. */
export class StateHelpers {
  readonly #functions: HelperFunctions;
  readonly #frames: FrameHelpers;
  readonly #releaseMarks: boolean;

  /** @param releaseMarks whether marks need a fence in front of them. */
  constructor(functions: HelperFunctions, frames: FrameHelpers, releaseMarks: boolean) {
    this.#functions = functions;
    this.#frames = frames;
    this.#releaseMarks = releaseMarks;
  }

  /** `(address) -> ()`: marks the page of an address dirty. */
  mark(): number {
    return this.#functions.index("mark", [I32], [], () => {
      const out = new CodeWriter().u8(0).localGet(0).i32Const(12).u8(op.i32ShrU);
      setMark(out, this.#releaseMarks);
      return out;
    });
  }

  /** `(address, length) -> ()`: marks a range of guest memory dirty. */
  markRange(): number {
    return this.#functions.index("markRange", [I32, I32], [], () => {
      const out = new CodeWriter().u8(1).u8(1).u8(I32);
      const page = (): CodeWriter => out.i32Const(12).u8(op.i32ShrU);
      out.localGet(1).u8(op.i32Eqz).u8(op.if).u8(BLOCK_VOID).u8(op.return).u8(op.end);
      if (this.#releaseMarks) for (const byte of ATOMIC_FENCE) out.u8(byte);
      out.localGet(0);
      page().localTee(2).i32Const(CONTROL.dirtyMap).u8(op.i32Add).i32Const(1);
      out.localGet(0).localGet(1).u8(op.i32Add).i32Const(1).u8(op.i32Sub);
      page().localGet(2).u8(op.i32Sub).i32Const(1).u8(op.i32Add);
      return out.prefixed(op.memoryFill).u32(CONTROL_MEMORY);
    });
  }

  /** Pushes all mutable globals, as `loadState` takes them. */
  saveGlobals(list: readonly GlobalVariable[]): number {
    return this.#functions.index("saveGlobals", [], [], () => {
      const push = this.#frames.push();
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
    return this.#functions.index("loadState", [I32], [], () => {
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
        controlAccess(out, LOAD8_U, CONTROL.dropped);
        out.u8(op.if).u8(BLOCK_VOID);
        if (segment < segments.data) out.prefixed(op.dataDrop).u32(segment);
        else out.prefixed(op.elemDrop).u32(segment - segments.data);
        out.u8(op.end);
      }
      return out;
    });
  }
}
