import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, refusal, toHex, written } from "../test/support.ts";
import { decodeCommand } from "./command.ts";
import { commandCode, encodeCommand } from "./index.ts";
import type { Command } from "./index.ts";

/** Code and payload of the encoded command, decoded again. */
function roundTrip(command: Command): Command {
  const bytes = written((w) => encodeCommand(w, command));
  const view = new DataView(bytes.buffer);
  expect(bytes[0]).toBe(8);
  expect(view.getUint16(1)).toBe(commandCode(command));
  expect(view.getUint16(3)).toBe(bytes.length - 5);
  return decodeCommand(view.getUint16(1), bytes.subarray(5), 5);
}

describe("every command has these bytes", () => {
  const cases: readonly (readonly [Command, string])[] = [
    [{ kind: "open-return-path" }, "0001 0000"],
    [{ kind: "ping", value: 0x42 }, "0002 0004 00000042"],
    [{ kind: "postcopy-advise" }, "0003 0000"],
    [
      { kind: "postcopy-advise", pageSizes: { summary: 0x20_1000, target: 4096 } },
      "0003 0010 0000000000201000 0000000000001000",
    ],
    [{ kind: "postcopy-listen" }, "0004 0000"],
    [{ kind: "postcopy-run" }, "0005 0000"],
    [
      {
        kind: "postcopy-ram-discard",
        block: "pc.ram",
        ranges: [
          { start: 0, length: 4096 },
          { start: 0x2000, length: 0x3000 },
        ],
      },
      "0006 0029 00 06 70632e72616d 00 0000000000000000 0000000000001000 0000000000002000 0000000000003000",
    ],
    [{ kind: "packaged", length: 5 }, "0007 0004 00000005"],
    [{ kind: "enable-colo" }, "0008 0000"],
    [{ kind: "postcopy-resume" }, "0009 0000"],
    [{ kind: "recv-bitmap", block: "m" }, "000a 0002 016d"],
    [{ kind: "switchover-start" }, "000b 0000"],
    [
      { kind: "hand-over", step: "give", migration: "00112233445566778899aabbccddeeff" },
      "5045 0011 02 00112233445566778899aabbccddeeff",
    ],
    [{ kind: "alive" }, "5046 0000"],
    [{ kind: "other", code: 99, payload: Uint8Array.of(1, 2) }, "0063 0002 0102"],
  ];
  test.each(cases)("%o", (command, hex) => {
    expect(toHex(written((w) => encodeCommand(w, command)))).toBe(`08${hex.replaceAll(" ", "")}`);
    expect(roundTrip(command)).toEqual(command);
  });
});

test("any discard list comes back", () => {
  const range = fc.record({ start: fc.maxSafeNat(), length: fc.maxSafeNat() });
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.array(range, { maxLength: 12 }), (block, ranges) => {
      const command: Command = { kind: "postcopy-ram-discard", block, ranges };
      expect(roundTrip(command)).toEqual(command);
    }),
  );
});

describe("refused", () => {
  test.each([
    [1, "00", "Command OPEN_RETURN_PATH has a payload of 1 bytes instead of 0"],
    [2, "000000", "Command PING has a payload of 3 bytes instead of 4"],
    [3, "00".repeat(8), "Command POSTCOPY_ADVISE has a payload of 8 bytes instead of 16"],
    [4, "00", "Command POSTCOPY_LISTEN has a payload of 1 bytes instead of 0"],
    [5, "00", "Command POSTCOPY_RUN has a payload of 1 bytes instead of 0"],
    [6, "", "Command POSTCOPY_RAM_DISCARD is malformed: it has no block name"],
    [6, "010000", "Command POSTCOPY_RAM_DISCARD is malformed: its version is 1 instead of 0"],
    [6, "00056d", "Command POSTCOPY_RAM_DISCARD is malformed: its block name is cut short"],
    [6, "00016d01", "Command POSTCOPY_RAM_DISCARD is malformed: no NUL follows the block name"],
    [
      6,
      "00016d00" + "00".repeat(8),
      "Command POSTCOPY_RAM_DISCARD is malformed: its ranges are not pairs of 64-bit numbers",
    ],
    [7, "", "Command PACKAGED has a payload of 0 bytes instead of 4"],
    [10, "026d", "Command RECV_BITMAP is malformed: its block name is cut short"],
    [10, "016d00", "Command RECV_BITMAP is malformed: something follows the block name"],
    [11, "00", "Command SWITCHOVER_START has a payload of 1 bytes instead of 0"],
  ])("command %i with payload '%s'", (code, hex, message) => {
    expect(refusal(() => decodeCommand(code, fromHex(hex), 5))).toMatchObject({
      code: "BAD_STREAM_COMMAND",
      message,
    });
  });

  test.each([
    [3, `${"00".repeat(8)}ffffffffffffffff`, 13, "the 64-bit number 0xffffffffffffffff is too large"],
    [6, "0001ff00", 6, "the name of a RAM block is not valid UTF-8"],
    [10, "01ff", 5, "the name of a RAM block is not valid UTF-8"],
  ])("what is in the payload of command %i, with its place in the stream", (code, hex, offset, message) => {
    expect(refusal(() => decodeCommand(code, fromHex(hex), 5))).toMatchObject({ message, offset });
  });
});
