import { MigrationError } from "@peregrine/protocol";
import { CONTROL, FRAME_TRAILER } from "./rewrite/control-layout.ts";
import type { RewrittenInfo } from "./rewrite/rewrite.ts";

/**
 * Walks the saved frames from the outermost (the last) to the innermost and writes into each the ordinal of its function, by which
 * an indirect call finds the resume copy. Checks every frame against its site, since frames come from a peer.
 * @returns how many frames there are.
 * Errors: DEVICE_STATE naming the frame.
 */
export function linkFrames(control: WebAssembly.Memory, end: number, sites: RewrittenInfo["sites"]): number {
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
  while (position > CONTROL.frames) {
    const trailer = position - FRAME_TRAILER;
    if (trailer < CONTROL.frames) throw bad(position, "a frame is cut off");
    const site = view.getUint32(trailer, true);
    const size = view.getUint32(trailer + 4, true);
    const expected = sites.frameBytes[site];
    if (expected === undefined) throw bad(trailer, `the module has no site ${site}`);
    if (size !== expected) throw bad(trailer, `site ${site} has frames of ${expected} bytes, not ${size}`);
    view.setUint32(trailer + 8, sites.ordinals[site]!, true);
    position -= size;
    count++;
  }
  if (position !== CONTROL.frames) throw bad(position, "a frame is cut off");
  return count;
}
