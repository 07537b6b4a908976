import { describe, expect, test } from "vitest";
import { noRecordings } from "../test/fixtures.ts";
import { decodeMultifd } from "../test/multifd.ts";
import { multifdStreams } from "../test/recordings.ts";
import { toHex, written } from "../test/support.ts";
import { countPages, encodeMultifdInit, encodeMultifdPages } from "./index.ts";

describe.skipIf(noRecordings).each([
  ["pc-72-multifd", "none", "5.0"],
  ["pc-100-multifd", "none", "9.0"],
  ["pc-72-multifd-zstd", "zstd", "5.0"],
  ["pc-100-multifd-zstd", "zstd", "9.0"],
] as const)("the multifd channels of %s", (name, compression, layout) => {
  test("say who they are and how their pages are sent", async () => {
    const { inits, packets } = await decodeMultifd(multifdStreams(name), () => 65_536);
    expect(inits.map(({ channel }) => channel).toSorted((a, b) => a - b)).toEqual([0, 1]);
    const used = packets.filter(({ runs }) => runs.length > 0);
    expect(used.length).toBeGreaterThan(20);
    expect(new Set(used.map((packet) => packet.compression))).toEqual(new Set([compression]));
    const zeroPages = packets.reduce((sum, packet) => sum + countPages(packet.zeroRuns), 0);
    expect(zeroPages).toBe(layout === "9.0" ? 1295 : 0);
  });

  test("have first messages that are encoded as QEMU does", async () => {
    const streams = multifdStreams(name);
    for (const [index, bytes] of streams.channels.entries()) {
      // One channel alone, whose sync does not wait for the other one.
      const { inits, packets } = await decodeMultifd({ ...streams, channels: [bytes] }, () => 65_536);
      expect(inits).toEqual([{ uuid: new Uint8Array(16), channel: index }]);
      const encoded = written((w) => {
        encodeMultifdInit(w, inits[0]!);
        encodeMultifdPages(w, layout, packets[0]!);
        encodeMultifdPages(w, layout, packets[1]!);
      });
      expect(toHex(encoded)).toBe(toHex(bytes.subarray(0, encoded.length)));
    }
  });
});
