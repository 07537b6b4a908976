import * as fc from "fast-check";
import { expect, test } from "vitest";
import { writeHead } from "../test/streams.ts";
import { refusal, written } from "../test/support.ts";
import {
  agreedTo,
  agreeTo,
  askedFor,
  askFor,
  DEFAULT_LIMITS,
  encodeCommand,
  encodeEndMark,
  encodeVmDescriptionText,
  StreamDecoder,
} from "./index.ts";
import type { Command } from "./index.ts";

const MIGRATION = "00112233445566778899aabbccddeeff";
const DECISION: readonly Command[] = [
  { kind: "hand-over", step: "offer", migration: MIGRATION },
  { kind: "alive" },
  { kind: "hand-over", step: "give", migration: MIGRATION },
];

function decodeAfterEnd(commands: readonly Command[], cut: number): Command[] {
  const bytes = written((w) => {
    writeHead(w);
    encodeEndMark(w);
    encodeVmDescriptionText(w, "{}");
    for (const command of commands) encodeCommand(w, command);
  });
  const found: Command[] = [];
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => {},
      open: () => {
        throw new Error("no section was written");
      },
      command: (command) => found.push(command),
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  decoder.push(bytes.subarray(0, cut));
  decoder.push(bytes.subarray(cut));
  expect(decoder.finished).toBe(true);
  decoder.end();
  return found;
}

test("what becomes of the guest may follow a complete stream, at every split point", () => {
  const length = written((w) => {
    writeHead(w);
    encodeEndMark(w);
    encodeVmDescriptionText(w, "{}");
    for (const command of DECISION) encodeCommand(w, command);
  }).length;
  for (let cut = 0; cut <= length; cut++) expect(decodeAfterEnd(DECISION, cut)).toEqual(DECISION);
});

test("nothing else may", () => {
  const late: readonly Command[] = [{ kind: "ping", value: 1 }, { kind: "open-return-path" }];
  for (const command of late) {
    const error = refusal(() => decodeAfterEnd([command], 0));
    expect(error.code).toBe("UNEXPECTED_DATA");
    expect(error.message).toContain("Unexpected data after the vmdescription");
  }
});

test("extensions are asked for and agreed to by values that no QEMU uses", () => {
  expect(askFor({ handOver: true, reasons: false, alive: true })).toBe(0x5045_0005);
  expect(agreeTo({ handOver: false, reasons: true, alive: false })).toBe(0x5052_0002);
  for (const value of [0, 1, 2, 3, 4, 0x42, 0xffff_ffff]) {
    expect(askedFor(value)).toBeUndefined();
    expect(agreedTo(value)).toBeUndefined();
  }
  // One that knows nothing of it echoes.
  expect(agreedTo(0x5045_0007)).toBeUndefined();
  // What a later release asks for is not agreed to.
  expect(askedFor(0x5045_fff8)).toEqual({ handOver: false, reasons: false, alive: false });
});

test("any extensions come back", () => {
  const extensions = fc.record({ handOver: fc.boolean(), reasons: fc.boolean(), alive: fc.boolean() });
  fc.assert(
    fc.property(extensions, (one) => {
      expect(askedFor(askFor(one))).toEqual(one);
      expect(agreedTo(agreeTo(one))).toEqual(one);
    }),
  );
});
