import * as fc from "fast-check";
import { expect, test } from "vitest";
import { chunked, refusal, toHex, written } from "../test/support.ts";
import { ByteReader } from "./index.ts";

test("numbers, text and views are the same wherever the chunks are cut", () => {
  const bytes = written((w) => {
    w.u8(0xfe);
    w.be16(0xfedc);
    w.be32(0xfedcba98);
    w.be64(Number.MAX_SAFE_INTEGER);
    w.counted("pc.ram é");
    w.bytes(Uint8Array.from([1, 2, 3, 4, 5]));
  });
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const reader = new ByteReader();
    reader.push(bytes.subarray(0, cut));
    reader.push(bytes.subarray(cut));
    expect(reader.available).toBe(bytes.length);
    expect(reader.peekU8()).toBe(0xfe);
    expect([reader.u8(), reader.be16(), reader.be32(), reader.be64()]).toEqual([
      0xfe,
      0xfedc,
      0xfedcba98,
      Number.MAX_SAFE_INTEGER,
    ]);
    expect(reader.hasCounted(5)).toBe(true);
    expect(reader.hasCounted(6)).toBe(false);
    expect(reader.counted("a name")).toBe("pc.ram é");
    expect(toHex(reader.view(5))).toBe("0102030405");
    expect(reader.offset).toBe(bytes.length);
    expect(reader.available).toBe(0);
  }
});

test("any sequence of reads from any chunks gives the bytes in order", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 40 }),
      fc.array(
        fc.record({ count: fc.integer({ min: 1, max: 400 }), some: fc.boolean(), detach: fc.boolean() }),
        {
          minLength: 1,
          maxLength: 20,
        },
      ),
      (bytes, cuts, reads) => {
        const reader = new ByteReader(1000);
        let out = "";
        let turn = 0;
        for (const chunk of chunked(bytes, cuts)) {
          reader.push(chunk);
          // One read may stay incomplete and wait for the next chunk.
          for (;;) {
            const read = reads[turn % reads.length]!;
            if (reader.available < (read.some ? 1 : read.count)) break;
            out += toHex(read.some ? reader.some(read.count) : reader.view(read.count));
            turn += 1;
          }
          expect(reader.offset).toBe(1000 + out.length / 2);
          if (reads[turn % reads.length]!.detach) {
            reader.detach();
            chunk.fill(0);
          }
        }
        if (reader.available > 0) out += toHex(reader.view(reader.available));
        expect(out).toBe(toHex(bytes));
      },
    ),
  );
});

test("bytes that lie in one chunk are not copied, nor is the rest of a chunk that completes an item", () => {
  const reader = new ByteReader();
  const first = new Uint8Array(5000).fill(1);
  const second = new Uint8Array(100_000).fill(2);
  reader.push(first);
  expect(reader.view(4096).buffer).toBe(first.buffer);
  reader.push(second);
  const straddling = reader.view(4096);
  expect([straddling.buffer === first.buffer, straddling.buffer === second.buffer]).toEqual([false, false]);
  expect(straddling.buffer.byteLength).toBeLessThan(20_000);
  expect(reader.view(4096).buffer).toBe(second.buffer);
  expect(reader.some(1e9).buffer).toBe(second.buffer);
  expect([...straddling.subarray(903, 905)]).toEqual([1, 2]);
});

test("a number above 2^53 - 1 and a read beyond the bytes on hand are errors with their offset", () => {
  const reader = new ByteReader(40);
  reader.push(Uint8Array.from([0, 0, 0x20, 0, 0, 0, 0, 0, 0]));
  reader.u8();
  expect(refusal(() => reader.be64())).toMatchObject({ code: "LIMIT_EXCEEDED", offset: 41 });
  expect(refusal(() => reader.view(9))).toMatchObject({ code: "TRUNCATED", offset: 41 });
  expect(refusal(() => new ByteReader().some(4))).toMatchObject({ code: "TRUNCATED", offset: 0 });
});
