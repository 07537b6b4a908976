import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { useDirectory } from "../../test/directory.ts";
import { inspected } from "../../test/inspected.ts";
import { changedPage, PAGE, pageOf, smallStream } from "../../test/small-stream.ts";
import { RamFile } from "./ram-file.ts";
import { SparseFile } from "./sparse-file.ts";

const inDirectory = useDirectory();
const files = (): string[] => readdirSync(inDirectory("."));

/** What is in `pc.ram` at the end of a small stream. */
const RAM = Buffer.concat([new Uint8Array(PAGE), changedPage(), new Uint8Array(PAGE), pageOf(3)]);

test("a RAM block is written as it was at last, deltas included", async () => {
  const memory = new RamFile({ block: "pc.ram", path: inDirectory("ram"), force: false });
  expect((await inspected(smallStream(), { memory })).fault).toBeUndefined();
  expect(files()).toEqual([`ram.${process.pid}.part`]);
  expect(memory.keep()).toBe(true);
  memory.discard();
  expect(files()).toEqual(["ram"]);
  expect(Buffer.compare(readFileSync(inDirectory("ram")), RAM)).toBe(0);
  expect(statSync(inDirectory("ram")).mode & 0o777).toBe(0o600);
});

test("what is discarded leaves nothing", async () => {
  const memory = new RamFile({ block: "pc.ram", path: inDirectory("ram"), force: false });
  await inspected(smallStream(), { memory });
  memory.discard();
  expect(files()).toEqual([]);
  expect(memory.keep()).toBe(false);
});

test("a block that is not in the stream leaves nothing, and the others are named", async () => {
  const memory = new RamFile({ block: "vga", path: inDirectory("ram"), force: false });
  const { fault } = await inspected(smallStream(), { memory });
  expect(fault).toMatchObject({
    code: "BAD_PARAMETER",
    message: expect.stringContaining("The stream has no RAM block 'vga'; it has 'pc.ram', 'pc.rom'"),
  });
  expect(files()).toEqual([]);
});

describe("a file that is there", () => {
  test("is replaced only if that is asked for", async () => {
    const path = inDirectory("ram");
    writeFileSync(path, "old");
    expect(() => new RamFile({ block: "pc.ram", path, force: false })).toThrow(
      expect.objectContaining({ code: "WRITE_FAILED" }),
    );
    const memory = new RamFile({ block: "pc.ram", path, force: true });
    await inspected(smallStream(), { memory });
    expect(readFileSync(path, "utf8")).toBe("old");
    memory.keep();
    expect(Buffer.compare(readFileSync(path), RAM)).toBe(0);
  });

  test("and came in the meantime is not replaced", async () => {
    const path = inDirectory("ram");
    const memory = new RamFile({ block: "pc.ram", path, force: false });
    await inspected(smallStream(), { memory });
    writeFileSync(path, "new");
    expect(() => memory.keep()).toThrow(expect.objectContaining({ code: "WRITE_FAILED" }));
    memory.discard();
    expect(files()).toEqual(["ram"]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  test("and is no plain file is never replaced", () => {
    symlinkSync("/dev/null", inDirectory("link"));
    for (const path of [inDirectory("."), inDirectory("link"), "/dev/null"]) {
      expect(() => new RamFile({ block: "pc.ram", path, force: true })).toThrow(
        expect.objectContaining({ code: "WRITE_FAILED", message: expect.stringContaining("is no file") }),
      );
    }
  });
});

test("a place where nothing can be written is told", async () => {
  const memory = new RamFile({ block: "pc.ram", path: inDirectory("none/ram"), force: false });
  const { fault } = await inspected(smallStream(), { memory });
  expect(fault).toMatchObject({ code: "WRITE_FAILED", message: expect.stringContaining("ENOENT") });
});

test("a sparse file has what was written last, and zeros elsewhere", () => {
  const pages = 600;
  const step = fc.record({ page: fc.nat(pages - 1), count: fc.nat(400), fill: fc.constantFrom(0, 0, 1, 2) });
  let run = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.array(fc.nat(pages - 1)), (steps, reads) => {
      const path = inDirectory(String(run++));
      const file = new SparseFile(path);
      file.resize(pages * PAGE);
      const expected = new Uint8Array(pages * PAGE);
      for (const [index, { page, count, fill }] of steps.entries()) {
        for (let one = page; one < Math.min(pages, page + count); one++) {
          const bytes = fill === 2 ? pageOf(index + one) : new Uint8Array(PAGE).fill(fill);
          if (fill === 2) file.write(one * PAGE, bytes);
          else file.fill(one * PAGE, fill);
          expected.set(bytes, one * PAGE);
        }
        const read = reads[index];
        if (read === undefined) continue;
        const at = read * PAGE;
        expect(Buffer.compare(file.read(at), expected.subarray(at, at + PAGE))).toBe(0);
      }
      file.flush();
      file.close();
      expect(Buffer.compare(readFileSync(path), expected)).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("zero pages take no room", () => {
  const file = new SparseFile(inDirectory("zeros"));
  file.resize(1024 * PAGE);
  for (let page = 0; page < 1024; page++) file.fill(page * PAGE, 0);
  file.write(1000 * PAGE, pageOf(1));
  file.flush();
  file.close();
  const { size, blocks } = statSync(inDirectory("zeros"));
  expect(size).toBe(1024 * PAGE);
  expect(blocks * 512).toBeLessThan(64 * 1024);
});
