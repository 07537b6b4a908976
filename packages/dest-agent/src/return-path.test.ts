import {
  ALL_EXTENSIONS,
  agreeTo,
  DEFAULT_LIMITS,
  MigrationError,
  ReturnPathDecoder,
} from "@peregrine/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Interruption } from "./interruption.ts";
import { ReturnPath } from "./return-path.ts";

const AGREED = `pong ${agreeTo(ALL_EXTENSIONS)}`;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

interface Opened {
  readonly path: ReturnPath;
  /** What each write has, which is one message. */
  readonly sent: string[];
  readonly interruption: Interruption;
}

/** A path whose source has asked for everything. @param writing what becomes of each write. */
async function opened(writing: () => Promise<void> = () => Promise.resolve()): Promise<Opened> {
  const sent: string[] = [];
  const write = (bytes: Uint8Array): Promise<void> => {
    sent.push(textOf(bytes));
    return writing();
  };
  const interruption = new Interruption();
  const path = new ReturnPath({ kind: "sent", write }, interruption, ALL_EXTENSIONS);
  path.open();
  path.agree(ALL_EXTENSIONS);
  await turn();
  return { path, sent, interruption };
}

/** Fails unless the bytes are whole messages. */
function textOf(bytes: Uint8Array): string {
  const messages: string[] = [];
  const decoder = new ReturnPathDecoder({
    limits: DEFAULT_LIMITS,
    message: (message) => messages.push(message.kind === "pong" ? `pong ${message.value}` : message.kind),
  });
  decoder.push(bytes);
  decoder.end();
  return messages.join(", ");
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("a source that listens for it", () => {
  test("hears each second that this side lives, while an answer waits for the machine", async () => {
    const { path, sent } = await opened();
    const prepared = Promise.withResolvers<void>();
    path.pong(2, prepared.promise);
    path.pong(3, undefined);
    vi.advanceTimersByTime(6000);
    await turn();
    expect(sent).toEqual([AGREED, ...Array<string>(6).fill("alive")]);
    prepared.resolve();
    await path.answered();
    expect(sent.slice(7)).toEqual(["pong 2", "pong 3"]);
    vi.advanceTimersByTime(1000);
    expect(sent.at(-1)).toBe("alive");
    path.close();
    vi.advanceTimersByTime(5000);
    expect(sent).toHaveLength(10);
  });

  test.for([
    ["taken", ["shut"]],
    ["refuse", ["reason", "shut"]],
  ] as const)("hears nothing beside the last word and behind it: %o", async ([how, last]) => {
    const gates: PromiseWithResolvers<void>[] = [];
    let isSlow = false;
    const { path, sent } = await opened(() => {
      if (!isSlow) return Promise.resolve();
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      return gate.promise;
    });
    path.pong(2, new Promise(() => {}));
    isSlow = true;
    const done = how === "taken" ? path.taken() : path.refuse(new MigrationError("LOAD_FAILED", "why"));
    for (const count of last.keys()) {
      vi.advanceTimersByTime(3000);
      expect(sent.slice(1)).toEqual(last.slice(0, count + 1));
      gates[count]!.resolve();
      await turn();
    }
    await done;
    vi.advanceTimersByTime(3000);
    await turn();
    expect(sent).toEqual([AGREED, ...last]);
  });

  test("that cannot be told any more ends the load", async () => {
    let isBroken = false;
    const broken = new MigrationError("CHANNEL_FAILED", "broken");
    const { interruption } = await opened(() => (isBroken ? Promise.reject(broken) : Promise.resolve()));
    isBroken = true;
    vi.advanceTimersByTime(1000);
    await expect(interruption.wait(new Promise(() => {}))).rejects.toBe(broken);
  });
});
