import { MigrationError } from "@peregrine/protocol/errors";
import { CONTROL, FRAME_TRAILER } from "./rewrite/control-layout.ts";
import { ABOVE, type FrameSites } from "./rewrite/rewritten.ts";

/**
 * Walks the saved frames from the outermost (the last) to the innermost and writes into each the ordinal of its function, by which
 * an indirect call finds the resume copy. Frames come from a peer, so each is checked against its site and against
 * the call that it was made by; what is left unchecked are the values in them.
 * @returns how many frames there are.
 * Errors: DEVICE_STATE naming the place.
 */
export function linkFrames(control: WebAssembly.Memory, end: number, sites: FrameSites): number {
  const bad = (at: number, why: string): MigrationError =>
    new MigrationError(
      "DEVICE_STATE",
      `The saved call stack is damaged at byte ${at - CONTROL.frames}: ${why}`,
    );
  if (end < CONTROL.frames || end > control.buffer.byteLength)
    throw bad(end, "its end lies outside the stack");
  const view = new DataView(control.buffer);
  let count = 0;
  let position = end;
  /** What the frame further out called. */
  let called: number = sites.entry ?? ABOVE.none;
  while (position > CONTROL.frames) {
    const trailer = position - FRAME_TRAILER;
    if (trailer < CONTROL.frames) throw bad(position, "a frame is cut off");
    const site = view.getUint32(trailer, true);
    const size = view.getUint32(trailer + 4, true);
    const expected = sites.frameBytes[site];
    if (expected === undefined) throw bad(trailer, `the module has no site ${site}`);
    if (size !== expected) throw bad(trailer, `site ${site} has frames of ${expected} bytes, not ${size}`);
    const ordinal = sites.ordinals[site]!;
    if (called === ABOVE.none) throw bad(trailer, "a frame follows the innermost one");
    if (called !== ABOVE.any && called !== ordinal)
      throw bad(trailer, `site ${site} is not in the function that was called`);
    view.setUint32(trailer + 8, ordinal, true);
    called = sites.above[site]!;
    position -= size;
    count++;
  }
  if (position !== CONTROL.frames) throw bad(position, "a frame is cut off");
  if (count > 0 && called !== ABOVE.none) throw bad(position, "the innermost frame is missing");
  return count;
}
