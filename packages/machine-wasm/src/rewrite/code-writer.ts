import { BinaryWriter } from "./binary.ts";
import { op } from "./opcodes.ts";

/** A writer of instructions: the common ones by name, any other by its opcode with `u8`. */
export class CodeWriter extends BinaryWriter {
  /** An instruction with an index. */
  indexed(opcode: number, index: number): this {
    return index < 0x80 ? this.pair(opcode, index) : this.u8(opcode).u32(index);
  }

  localGet(index: number): this {
    return this.indexed(op.localGet, index);
  }

  localSet(index: number): this {
    return this.indexed(op.localSet, index);
  }

  localTee(index: number): this {
    return this.indexed(op.localTee, index);
  }

  i32Const(value: number): this {
    return value >= -0x40 && value < 0x40
      ? this.pair(op.i32Const, value & 0x7f)
      : this.u8(op.i32Const).s32(value);
  }

  /** An opcode that is two numbers, as `op` has them together. */
  prefixed(opcode: number): this {
    return this.u8(opcode >>> 16).u32(opcode & 0xffff);
  }

  call(index: number): this {
    return this.indexed(op.call, index);
  }
}
