import { expect } from "vitest";
import { DEFAULT_LIMITS } from "../src/index.ts";
import type { ByteWriter, Limits, MigrationError } from "../src/index.ts";
import { decodeAll, Recorder, refusal, written } from "./support.ts";

/** A stream that is wrong in one place. `mark` notes the offset at which the mistake begins. */
export interface Refusal {
  readonly write: (w: ByteWriter, mark: () => void) => void;
  readonly code: MigrationError["code"];
  /** How the message begins. */
  readonly text: string;
  readonly section?: string;
  readonly lastGood?: string;
  readonly limits?: Partial<Limits>;
  /** What the stream is handed to. Default: one that takes everything. */
  readonly recorder?: (limits: Limits) => Recorder;
}

/** Decodes the stream and checks every part of the error: code, text, place in words and in numbers; in one chunk and byte by byte. */
export function expectRefusal(one: Refusal): void {
  let offset = 0;
  const bytes = written((w) =>
    one.write(w, () => {
      offset = w.length;
    }),
  );
  const limits = { ...DEFAULT_LIMITS, ...one.limits };
  const words = [
    ...(one.section === undefined ? [] : [`section '${one.section}'`]),
    `byte ${offset}`,
    ...(one.lastGood === undefined ? [] : [`last good section '${one.lastGood}'`]),
  ];
  const expected = {
    code: one.code,
    message: `${one.text} (${words.join(", ")})`,
    offset,
    ...(one.section === undefined ? {} : { section: one.section }),
    ...(one.lastGood === undefined ? {} : { lastGoodSection: one.lastGood }),
  };
  const byteByByte = Array.from(bytes, (byte) => Uint8Array.of(byte));
  for (const chunks of [[bytes], byteByByte]) {
    const recorder = one.recorder?.(limits) ?? new Recorder(limits);
    expect(refusal(() => decodeAll(chunks, { limits }, recorder)).serialize()).toEqual(expected);
  }
}
