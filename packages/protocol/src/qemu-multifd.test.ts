import { describe, expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings, sha256 } from "../test/fixtures.ts";
import { MultifdMemory, rebuildMultifd } from "../test/multifd.ts";
import { CHUNKINGS } from "../test/rebuild.ts";
import { toHex, written } from "../test/support.ts";
import { encodeMultifdInit, encodeMultifdPages } from "./index.ts";

describe.skipIf(noRecordings)("multifd channels recorded from real QEMU", () => {
  describe.each([
    ["pc-72-multifd", "none", "5.0"],
    ["pc-100-multifd", "none", "9.0"],
    ["pc-72-multifd-zstd", "zstd", "5.0"],
    ["pc-100-multifd-zstd", "zstd", "9.0"],
  ] as const)("%s", (name, compression, layout) => {
    const load = () => {
      const of = fixture(name);
      const [main, ...channels] = [0, 1, 2].map((one) => fixtureFile(of, `${name}.c${one}.stream.zst`));
      return { of, main: main!, channels, meetAfterSections: layout === "5.0" };
    };

    test.each(CHUNKINGS)("memory is rebuilt from %s", async (_name, sizes) => {
      const streams = load();
      const memory = new MultifdMemory();
      await rebuildMultifd(streams, memory, sizes());
      expect(sha256(memory.named(streams.of.ramBlock))).toBe(streams.of.ramSha256);
      expect(memory.inits.map(({ channel }) => channel).toSorted((a, b) => a - b)).toEqual([0, 1]);
      const used = memory.packets.filter(({ offsets }) => offsets.length > 0);
      expect(used.length).toBeGreaterThan(20);
      expect(new Set(used.map((packet) => packet.compression))).toEqual(new Set([compression]));
      const zeroPages = memory.packets.reduce((sum, packet) => sum + packet.zeroOffsets.length, 0);
      expect(zeroPages).toBe(layout === "9.0" ? 1295 : 0);
    });

    test("the first messages are encoded as QEMU does", async () => {
      const streams = load();
      for (const [index, bytes] of streams.channels.entries()) {
        const memory = new MultifdMemory();
        // One channel alone, whose sync does not wait for anything.
        const one = { ...streams, channels: [bytes] };
        await rebuildMultifd(one, memory, () => 65_536);
        const [init] = memory.inits;
        expect(init).toEqual({ uuid: new Uint8Array(16), channel: index });
        const [sync, pages] = memory.packets;
        const encoded = written((w) => {
          encodeMultifdInit(w, init!);
          encodeMultifdPages(w, layout, sync!);
          encodeMultifdPages(w, layout, pages!);
        });
        expect(toHex(encoded)).toBe(toHex(bytes.subarray(0, encoded.length)));
      }
    });
  });
});
