import { describe, expect, test } from "vitest";
import { fixture, mainStream, noRecordings, sha256 } from "../test/fixtures.ts";
import { MappedEcho } from "../test/mapped-echo.ts";
import { decodeWhole } from "../test/recordings.ts";
import { toHex } from "../test/support.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { applyDelta, DEFAULT_LIMITS, DeltaPage, encodeDelta, readMappedBlock } from "./index.ts";
import type { PageEncoding } from "./index.ts";

/** Encodes every delta again from the pages on both sides of it. */
class DeltaTwin extends WholeEcho {
  same = 0;
  readonly others: string[] = [];
  readonly #target = new Uint8Array(4096);

  override encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    const old = this.presentPage(block, offset);
    const page = old.slice();
    expect(applyDelta(data, page)).toBe(true);
    const length = encodeDelta(new DeltaPage(old), new DeltaPage(page), this.#target);
    if (toHex(this.#target.subarray(0, length)) === toHex(data)) this.same++;
    else this.others.push(toHex(data));
    return super.encodedPage(block, offset, encoding, data);
  }
}

describe.skipIf(noRecordings)("memory from recordings of real QEMU", () => {
  test.each(["pc-72-xbzrle", "pc-100-xbzrle"])("%s: deltas are encoded as QEMU does", (name) => {
    const twin = decodeWhole(mainStream(name), new DeltaTwin(true), () => 65_536);
    expect(twin.same).toBeGreaterThan(0);
    expect(twin.others).toEqual([]);
  });

  test("a mapped-ram file is read at the places that its headers name", async () => {
    const { ramBlock, ramSha256 } = fixture("pc-100-mapped");
    const bytes = mainStream("pc-100-mapped");
    const echo = decodeWhole(bytes, new MappedEcho(true), () => 65_536);
    expect(echo.zeroPages).toBe(1295);
    const memory = echo.blocks.map(({ length }) => new Uint8Array(length).fill(0xaa));
    let largest = 0;
    for (const [index, { length, mapped }] of echo.blocks.entries()) {
      await readMappedBlock(
        { index, length, header: mapped! },
        DEFAULT_LIMITS,
        {
          page: (block, offset, page) => memory[block]!.set(page, offset),
          zeroPage: (block, offset) => memory[block]!.fill(0, offset, offset + 4096),
        },
        (offset, target) => {
          largest = Math.max(largest, target.length);
          target.set(bytes.subarray(offset, offset + target.length));
          return Promise.resolve();
        },
      );
    }
    expect(largest).toBe(1024 * 1024);
    expect(sha256(memory[echo.blocks.findIndex(({ name }) => name === ramBlock)]!)).toBe(ramSha256);
    expect(memory.map(sha256)).toEqual(echo.memory.map(sha256));
  });
});
