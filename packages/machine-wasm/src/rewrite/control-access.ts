import type { CodeWriter } from "./code-writer.ts";
import { CONTROL } from "./control-layout.ts";
import { F32, F64, I32, I64, op, V128 } from "./opcodes.ts";

/** The control memory's index in a rewritten module. */
export const CONTROL_MEMORY = 1;
const HAS_MEMORY_INDEX = 0x40;
const ATOMIC_STORE8 = [0xfe, 0x19];

/** Opcodes by the type of what they store or load. */
export const STORE: Record<number, readonly number[]> = {
  [I32]: [0x36],
  [I64]: [0x37],
  [F32]: [0x38],
  [F64]: [0x39],
  [V128]: [0xfd, 0x0b],
};
export const LOAD: Record<number, readonly number[]> = {
  [I32]: [0x28],
  [I64]: [0x29],
  [F32]: [0x2a],
  [F64]: [0x2b],
  [V128]: [0xfd, 0x00],
};
export const LOAD8_U: readonly number[] = [0x2d];

/** A load or store on the control memory with the least alignment, which is always valid. */
export function controlAccess(out: CodeWriter, opcode: readonly number[], offset: number): void {
  for (const byte of opcode) out.u8(byte);
  out.u8(HAS_MEMORY_INDEX).u8(CONTROL_MEMORY).u32(offset);
}

/** Pushes a word of the control memory. */
export function loadWord(out: CodeWriter, address: number): CodeWriter {
  out.i32Const(0);
  controlAccess(out, LOAD[I32]!, address);
  return out;
}

/** Sets a word of the control memory to what `value` pushes. */
export function storeWord(out: CodeWriter, address: number, value: () => void): CodeWriter {
  out.i32Const(0);
  value();
  controlAccess(out, STORE[I32]!, address);
  return out;
}

/** Marks the page whose number is on the stack. */
export function setMark(out: CodeWriter, release: boolean): void {
  out.i32Const(1);
  controlAccess(out, release ? ATOMIC_STORE8 : [op.i32Store8], CONTROL.dirtyMap);
}
