import { describe, expect, test } from "vitest";
import { DestinationWait } from "./destination-wait.ts";
import type { DestinationWaitOptions } from "./destination-wait.ts";

const NEVER = new Promise<void>(() => {});

function wait(options: Partial<DestinationWaitOptions> = {}): DestinationWait {
  return new DestinationWait({
    peer: "10.0.0.2:4444",
    limit: 100,
    speaksUp: () => false,
    bandwidth: () => 0,
    now: () => 0,
    ...options,
  });
}

describe("a wait for the destination", () => {
  test("ends with the answer", async () => {
    await expect(wait().until(Promise.resolve())).resolves.toBeUndefined();
  });

  test.each([
    ["nothing is known of the link", 0, "0.1"],
    ["16 MiB take 200 ms", (16 * 1024 * 1024) / 200, "0.3"],
  ])("says how long it was where %s", async (_, rate, seconds) => {
    const start = performance.now();
    await expect(wait({ bandwidth: () => rate }).until(NEVER)).rejects.toMatchObject({
      code: "PEER_SILENT",
      message: `The destination '10.0.0.2:4444' has not said for ${seconds} s that it has loaded what was sent: it is dead, frozen or cut off`,
    });
    // A timer may be a millisecond early.
    expect(performance.now() - start).toBeGreaterThan(Number(seconds) * 1000 - 2);
  });

  test("for its being prepared has the same limit, from when nothing else is missing", () => {
    let now = 1000;
    const waiting = wait({ now: () => now });
    expect(waiting.isOver(false)).toBe(false);
    now += 100;
    expect(waiting.isOver(false)).toBe(false);
    expect(waiting.isOver(true)).toBe(true);
    now++;
    expect(() => waiting.isOver(false)).toThrow(/has not said for 0\.1 s that it can take over/u);
  });

  test("has no limit where the destination says that it lives", () => {
    let now = 0;
    const waiting = wait({ now: () => now, speaksUp: () => true });
    expect(waiting.isOver(false)).toBe(false);
    now += 1_000_000;
    expect(waiting.isOver(false)).toBe(false);
  });
});
