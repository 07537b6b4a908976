import { FRAME_TRAILER } from "./control-layout.ts";
import { F32, F64, I32, I64, V128 } from "./opcodes.ts";

/** Types of a frame's values, in the order of SAVABLE: the same object for all sites of the module with such frames. */
export interface FrameShape {
  readonly types: readonly number[];
  readonly runs: readonly Run[];
  /** Of the whole frame. */
  readonly bytes: number;
  /** How many pieces of code save such frames. */
  saves: number;
  /** Whether one of them is the poll of a loop that has no other site: how well an engine compiles such loops depends on their size. */
  inSmallLoop: boolean;
}

/** Bytes of a value, by its type. */
export const SIZE: Record<number, number> = { [I32]: 4, [I64]: 8, [F32]: 4, [F64]: 8, [V128]: 16 };

/** Code that pushes a zero, by its type. */
export const ZERO: Record<number, readonly number[]> = {
  [I32]: [0x41, 0],
  [I64]: [0x42, 0],
  [F32]: [0x43, 0, 0, 0, 0],
  [F64]: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
  [V128]: [0xfd, 0x0c, ...Array.from({ length: 16 }, () => 0)],
};

/** Bytes that values of these types take in a frame, before the trailer. */
export const valueBytes = (types: readonly number[]): number =>
  types.reduce((sum, type) => sum + SIZE[type]!, 0);

/** Whole frame: values rounded up to 8 bytes, and the trailer. */
export const frameBytes = (types: readonly number[]): number =>
  ((valueBytes(types) + 7) & ~7) + FRAME_TRAILER;

/** Some values of one type. */
export interface Run {
  readonly type: number;
  readonly count: number;
}

/**
 * Whether the frames of a shape are saved by a function of its own: where few bytes matter more than what such a
 * function has, and where it has fewer than the calls that save them in place. In bytes, about: a call of
 * the function is 6 and its arguments, a frame that is saved in place 15 and 3 for each run, a function's type and body 22 more.
 */
export function isSavedByFunction({ types, runs, saves, inSmallLoop }: FrameShape): boolean {
  return inSmallLoop || saves * (9 + 3 * runs.length) > 22 + 3 * runs.length + 3 * types.length;
}

const LONGEST_RUN = 16;

/** Values in runs of 16, 8, 4, 2 and 1 of one type, so that few helpers do for all shapes. */
export function runsOf(types: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (let index = 0; index < types.length;) {
    const type = types[index]!;
    let count = LONGEST_RUN;
    while (types[index + count - 1] !== type) count /= 2;
    runs.push({ type, count });
    index += count;
  }
  return runs;
}
