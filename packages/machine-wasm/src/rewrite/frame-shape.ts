import { FRAME_TRAILER } from "./control-layout.ts";
import { F32, F64, I32, I64, V128 } from "./opcodes.ts";

/** Types of a frame's values, in the order of SAVABLE. */
export type FrameShape = readonly number[];

/** Bytes of a value, by its type. */
export const SIZE: Record<number, number> = { [I32]: 4, [I64]: 8, [F32]: 4, [F64]: 8, [V128]: 16 };

/** Bytes that values of these types take in a frame, before the trailer. */
export const valueBytes = (shape: FrameShape): number => shape.reduce((sum, type) => sum + SIZE[type]!, 0);

/** Whole frame: values rounded up to 8 bytes, and the trailer. */
export const frameBytes = (shape: FrameShape): number => ((valueBytes(shape) + 7) & ~7) + FRAME_TRAILER;

/** Some values of one type. */
export interface Run {
  readonly type: number;
  readonly count: number;
}

const LONGEST_RUN = 16;

/** Values in runs of 16, 8, 4, 2 and 1 of one type, so that few helpers do for all shapes. */
export function runsOf(shape: FrameShape): Run[] {
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
