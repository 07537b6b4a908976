import { expect } from "vitest";
import { feed } from "./in-process.ts";
import type { TestStream } from "./stream-maker.ts";

export interface Refusal {
  readonly code: string;
  /** The beginning of the message: the place follows it. */
  readonly text: string;
  /** Name of the piece in which, and at which byte of it, the offset lies. */
  readonly at?: readonly [piece: string, byte: number];
  readonly section?: string;
}

/** The stream is refused with these words and this place, and the source is not told otherwise. */
export async function expectRefusal(
  changed: TestStream,
  { code, text, at, section }: Refusal,
): Promise<void> {
  const fed = await feed({ chunks: [changed.bytes] });
  expect(fed.error?.message.slice(0, text.length)).toBe(text);
  expect(fed.error?.code).toBe(code);
  if (at !== undefined) {
    const offset = changed.offsetOf(at[0]) + at[1];
    expect(fed.error?.offset).toBe(offset);
    expect(fed.error?.message).toContain(`byte ${offset}`);
  }
  if (section !== undefined) expect(fed.error?.message).toContain(`(section '${section}', `);
  expect(fed.committed).toBe(false);
  expect(fed.sent).not.toContainEqual({ kind: "shut", status: 0 });
}
