import { ALL_EXTENSIONS } from "@peregrine/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Liveness } from "./liveness.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

test.each([0, 5000])(
  "a destination hears at least once a second that the source lives, with the limit %i",
  (limit) => {
    let now = 0;
    let bytes = 0;
    let heardAt = 0;
    let longest = 0;
    const write = (): void => {
      bytes++;
      longest = Math.max(longest, now - heardAt);
      heardAt = now;
    };
    const liveness = new Liveness({
      peer: "there",
      limit,
      answered: () => true,
      extensions: () => ALL_EXTENSIONS,
      written: () => bytes,
      tell: write,
      silent: () => {},
      now: () => now,
    });
    for (; now <= 10_000; now += 10) {
      // Something else goes out meanwhile.
      if (now === 4010) write();
      liveness.heard();
      vi.advanceTimersByTime(10);
    }
    liveness.stop();
    expect(heardAt).toBeGreaterThan(8900);
    expect(longest).toBeLessThanOrEqual(1000);
  },
);
