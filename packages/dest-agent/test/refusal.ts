import { expect } from "vitest";
import { feed, feedImage } from "./in-process.ts";
import type { Loading } from "./in-process.ts";
import type { TestStream } from "./stream-maker.ts";

export interface Refusal {
  readonly code: string;
  /** The beginning of the message: the place follows it. */
  readonly text: string;
  /** Name of the piece in which, and at which byte of it, the offset lies. */
  readonly at?: readonly [piece: string, byte: number];
  readonly section?: string;
  readonly lastGood?: string;
}

/** The test machine refuses the stream with these words and this place, and the source is not told otherwise. */
export async function expectRefusal(changed: TestStream, refusal: Refusal): Promise<void> {
  expectRefused(changed, refusal, await feed({ chunks: [changed.bytes] }));
}

/** So does a machine that takes in any other. */
export async function expectImageRefusal(changed: TestStream, refusal: Refusal): Promise<void> {
  expectRefused(changed, refusal, await feedImage({ chunks: [changed.bytes] }));
}

function expectRefused(
  changed: TestStream,
  { code, text, at, section, lastGood }: Refusal,
  { error, committed, sent }: Loading,
): void {
  expect(error?.message.slice(0, text.length)).toBe(text);
  expect(error?.code).toBe(code);
  if (at !== undefined) {
    const offset = changed.offsetOf(at[0]) + at[1];
    expect(error?.offset).toBe(offset);
    expect(error?.message).toContain(`byte ${offset}`);
  }
  if (section !== undefined) expect(error?.message).toContain(`(section '${section}', `);
  if (lastGood !== undefined) expect(error?.message).toContain(`, last good section '${lastGood}')`);
  expect(committed).toBe(false);
  expect(sent).not.toContainEqual({ kind: "shut", status: 0 });
}
