import { MigrationError } from "@peregrine/protocol";
import { describe, expect, it } from "vitest";
import { controlMemory } from "../test/fake-thread.ts";
import { linkFrames } from "./frames.ts";
import { CONTROL, FRAME_TRAILER } from "./rewrite/control-layout.ts";
import { ABOVE, type FrameSites } from "./rewrite/rewritten.ts";

/** Sites 0, 1: the entry calls function 1. 2: function 1 calls by a table. 3: function 1 polls. 4: function 0 polls. */
const SITES: FrameSites = {
  frameBytes: Uint32Array.of(24, 16, 32, 16, 24),
  ordinals: Uint32Array.of(2, 2, 1, 1, 0),
  above: Int32Array.of(1, 1, ABOVE.any, ABOVE.none, ABOVE.none),
  entry: 2,
};

/** Frames of these sites, innermost first. */
function stack(...sites: number[]): Uint8Array {
  const frames = sites.map((site) => {
    const size = SITES.frameBytes[site]!;
    const frame = new Uint8Array(size).fill(0x55, 0, size - FRAME_TRAILER);
    const view = new DataView(frame.buffer);
    view.setUint32(size - FRAME_TRAILER, site, true);
    view.setUint32(size - FRAME_TRAILER + 4, size, true);
    return frame;
  });
  return new Uint8Array(Buffer.concat(frames));
}

function link(frames: Uint8Array): { count: number; linked: Uint8Array } {
  const control = controlMemory();
  const bytes = new Uint8Array(control.buffer);
  // What lies below the stack must never be taken for a frame.
  bytes.fill(0x01, CONTROL.dirtyMap, CONTROL.frames);
  bytes.set(frames, CONTROL.frames);
  const end = CONTROL.frames + frames.length;
  const count = linkFrames(control, end, SITES);
  return { count, linked: bytes.slice(CONTROL.frames, end) };
}

const GOOD = stack(3, 2, 2, 0);

describe("the link of saved frames", () => {
  it("counts them and writes the ordinals", () => {
    const { count, linked } = link(GOOD);
    expect(count).toBe(4);
    const view = new DataView(linked.buffer);
    const trailers = [16, 48, 80, 104].map((end) => end - FRAME_TRAILER);
    expect(trailers.map((at) => view.getUint32(at + 8, true))).toEqual([1, 1, 1, 2]);
    expect(link(new Uint8Array(0)).count).toBe(0);
    expect(link(stack(4, 2, 1)).count).toBe(3);
  });

  it("refuses every stack that no program can have", () => {
    const refused: readonly (readonly [number[], RegExp])[] = [
      [[3], /not in the function that was called/],
      [[3, 3, 0], /follows the innermost/],
      [[2, 0], /innermost frame is missing/],
      [[0], /innermost frame is missing/],
      [[4, 0], /not in the function that was called/],
    ];
    for (const [sites, message] of refused)
      expect(() => link(stack(...sites)), sites.join()).toThrow(message);
  });

  it("refuses every length that the whole does not have", () => {
    for (let length = 1; length < GOOD.length; length++) {
      expect(() => link(GOOD.subarray(0, length))).toThrow(MigrationError);
      expect(() => link(GOOD.subarray(length))).toThrow(MigrationError);
    }
    expect(() => linkFrames(controlMemory(), CONTROL.frames - 8, SITES)).toThrow(/outside the stack/);
    expect(() => linkFrames(controlMemory(), 2 ** 31, SITES)).toThrow(/outside the stack/);
  });

  it("refuses every flipped byte of a trailer, or does not depend on it", () => {
    const { linked } = link(GOOD);
    for (let at = 0; at < GOOD.length; at++) {
      for (const flip of [0x01, 0x02, 0x80, 0xff]) {
        const damaged = GOOD.slice();
        damaged[at]! ^= flip;
        let result: Uint8Array;
        try {
          result = link(damaged).linked;
        } catch (error) {
          expect(error).toMatchObject({ code: "DEVICE_STATE" });
          continue;
        }
        // A value, the ordinal, which is written anew, and the unused word are no structure.
        const differing = [...result.keys()].filter((index) => result[index] !== linked[index]);
        expect(differing.every((index) => index === at)).toBe(true);
      }
    }
  });
});
