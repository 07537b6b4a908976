import { describe, expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings, sha256 } from "../test/fixtures.ts";
import { CHUNKINGS, Memory, rebuild } from "../test/rebuild.ts";
import { toHex, written } from "../test/support.ts";
import {
  applyDelta,
  DEFAULT_LIMITS,
  encodeDelta,
  encodeRamBlockEntry,
  MAPPED_RAM_HEADER_BYTES,
  placeMappedBlock,
  readMappedBlock,
} from "./index.ts";
import type { ListedRamBlock, PageEncoding } from "./index.ts";

/** Keeps what a mapped-ram file says about its blocks. */
class Headers extends Memory {
  zeroPages = 0;

  override zeroPage(block: number, offset: number, fill: number): void {
    this.zeroPages++;
    super.zeroPage(block, offset, fill);
  }
}

/** Encodes every delta again from the pages on both sides of it. */
class DeltaTwin extends Memory {
  same = 0;
  readonly others: string[] = [];
  readonly #target = new Uint8Array(4096);

  encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    expect(encoding).toBe("xbzrle");
    const old = this.presentPage(block, offset);
    const page = old.slice();
    applyDelta(data, page);
    const length = encodeDelta(old, page, this.#target);
    if (toHex(this.#target.subarray(0, length)) === toHex(data)) this.same++;
    else this.others.push(toHex(data));
    return true;
  }
}

describe.skipIf(noRecordings)("memory from recordings of real QEMU", () => {
  describe.each(["pc-72-xbzrle", "pc-100-xbzrle"])("%s", (name) => {
    const load = () => {
      const of = fixture(name);
      return { of, bytes: fixtureFile(of, `${name}.stream.zst`) };
    };

    test.each(CHUNKINGS)("%s", (_name, sizes) => {
      const { of, bytes } = load();
      const memory = new Memory();
      rebuild(bytes, memory, sizes());
      expect(memory.deltas).toBeGreaterThan(0);
      expect(sha256(memory.named(of.ramBlock))).toBe(of.ramSha256);
    });

    test("deltas are encoded as QEMU does", () => {
      const { bytes } = load();
      const twin = new DeltaTwin();
      rebuild(bytes, twin, () => 65_536);
      expect(twin.same).toBeGreaterThan(0);
      expect(twin.others).toEqual([]);
    });
  });

  describe("pc-100-mapped", () => {
    const load = () => {
      const of = fixture("pc-100-mapped");
      return { of, bytes: fixtureFile(of, "pc-100-mapped.mapped.zst") };
    };

    test.each(CHUNKINGS)("read from start to end in %s", (_name, sizes) => {
      const { of, bytes } = load();
      const memory = new Headers();
      rebuild(bytes, memory, sizes());
      expect(memory.zeroPages).toBe(1295);
      expect(sha256(memory.named(of.ramBlock))).toBe(of.ramSha256);
    });

    test("read at the places that its headers name", async () => {
      const { of, bytes } = load();
      const listed = new Memory();
      rebuild(bytes, listed, () => 65_536);
      const memory = new Memory();
      memory.blockList(listed.blocks);
      let largest = 0;
      for (const [index, { length, mapped }] of listed.blocks.entries()) {
        await readMappedBlock(
          { index, length, header: mapped! },
          DEFAULT_LIMITS,
          memory,
          (offset, target) => {
            largest = Math.max(largest, target.length);
            target.set(bytes.subarray(offset, offset + target.length));
            return Promise.resolve();
          },
        );
      }
      expect(largest).toBe(1024 * 1024);
      expect(sha256(memory.named(of.ramBlock))).toBe(of.ramSha256);
      expect(memory.bytes.map(sha256)).toEqual(listed.bytes.map(sha256));
    });

    test("blocks are placed as QEMU places them", () => {
      const { bytes } = load();
      const memory = new Memory();
      rebuild(bytes, memory, () => 65_536);
      // The first entry is behind the header of the section and the total.
      let entryAt = memory.blocks[0]!.mapped!.bitmapOffset - entryBytes(memory.blocks[0]!);
      for (const block of memory.blocks) {
        const headerAt = entryAt + entryBytes(block) - MAPPED_RAM_HEADER_BYTES;
        const { header, end } = placeMappedBlock(headerAt, block.length);
        expect(header).toEqual(block.mapped);
        expect(toHex(bytes.subarray(entryAt, headerAt + MAPPED_RAM_HEADER_BYTES))).toBe(
          toHex(written((w) => encodeRamBlockEntry(w, { ...block, mapped: header }))),
        );
        entryAt = end;
      }
    });
  });
});

function entryBytes({ name }: ListedRamBlock): number {
  return 1 + name.length + 8 + MAPPED_RAM_HEADER_BYTES;
}
