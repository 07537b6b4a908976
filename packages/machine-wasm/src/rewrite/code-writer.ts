import { BinaryWriter } from "./binary.ts";
import { op } from "./opcodes.ts";

/** A writer of instructions: the common ones by name, any other by its opcode with `u8`. */
export class CodeWriter extends BinaryWriter {
  localGet(index: number): this {
    return this.u8(op.localGet).u32(index);
  }

  localSet(index: number): this {
    return this.u8(op.localSet).u32(index);
  }

  localTee(index: number): this {
    return this.u8(op.localTee).u32(index);
  }

  i32Const(value: number): this {
    return this.u8(op.i32Const).s32(value);
  }

  /** An opcode that is two numbers, as `op` has them together. */
  prefixed(opcode: number): this {
    return this.u8(opcode >>> 16).u32(opcode & 0xffff);
  }

  call(index: number): this {
    return this.u8(op.call).u32(index);
  }
}
