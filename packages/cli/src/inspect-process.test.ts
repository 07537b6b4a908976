import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { DeviceStore, fieldTree } from "@peregrine/stream-inspector";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { inspectInputs } from "./inspect/inspect-input.ts";
import { usePeregrine } from "./testing/peregrine-process.ts";
import type { Finished } from "./testing/peregrine-process.ts";
import { recordMigration } from "./testing/recorded-migration.ts";
import { virtualMachineStream, VM_BLOCK } from "./testing/virtual-machine-stream.ts";

const peregrine = usePeregrine();
const STREAM = Buffer.from(virtualMachineStream({ returnPath: true }));
/** In the END section of `ram`. */
const CUT = STREAM.subarray(0, 100_000);

function inDirectory(name: string): string {
  return join(peregrine.directory, name);
}

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(inDirectory(name), bytes);
  return inDirectory(name);
}

function inspect(...args: readonly string[]): Promise<Finished> {
  return peregrine.run("inspect", ...args);
}

function objectsIn(text: string): unknown[] {
  const lines = text.trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as unknown);
}

/** What an error line looks like. */
function errorLine(code: string): RegExp {
  return new RegExp(`^peregrine: ${code}: [^\\n]+\\n$`, "u");
}

test("a stream is shown, from a file and from a pipe", async () => {
  const path = file("a", STREAM);
  const fromFile = await inspect(path);
  expect(fromFile).toMatchObject({ status: 0, stderr: "" });
  await expect(fromFile.stdout.replace(path, "FILE")).toMatchFileSnapshot("../test/golden/inspect.txt");
  const piped = peregrine.start("inspect", "-");
  piped.write(STREAM);
  piped.endInput();
  const stdout = fromFile.stdout.replace(`'${path}'`, "the standard input");
  expect(await piped.finished()).toEqual({ ...fromFile, stdout });
});

test("with --json there is an object for each thing, and one for all of it", async () => {
  const { status, stdout, stderr } = await inspect(file("a", STREAM), "--json");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const objects = objectsIn(stdout);
  expect(objects.at(0)).toEqual({ item: "header", offset: 0, size: 8, version: 3 });
  expect(objects.at(-1)).toMatchObject({ item: "summary", complete: true, bytes: STREAM.length });
});

test("what was cut off is shown up to there, and then why it ends", async () => {
  const path = file("a", CUT);
  const { status, stdout, stderr } = await inspect(path);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^ +\d+ +\d+ +\.\.\. +ram +not complete$/mu);
  expect(stdout).toMatch(/^vm\.ram +1 MiB +24 +25 /mu);
  expect(stderr).toBe(
    "peregrine: TRUNCATED: The stream ended where a page of 4096 bytes was expected: Input/output error " +
      "(section 'ram', byte 100000, last good section 'ram')\n",
  );
  const json = await inspect(path, "--json");
  expect(json).toMatchObject({ status: 1, stderr });
  expect(objectsIn(json.stdout).at(-1)).toMatchObject({ item: "fault", code: "TRUNCATED", offset: 100_000 });
});

test("--verify says in one line whether a stream is valid", async () => {
  const { length } = STREAM;
  expect(await inspect(file("a", STREAM), "--verify")).toEqual({
    status: 0,
    stdout: `valid: pc-test-1, ${length} bytes, 4 sections, 2 devices, every page of 1 RAM block\n`,
    stderr: "",
  });
  const wrong = await inspect(file("b", STREAM.with(STREAM.lastIndexOf(0x7e), 0x7d)), "--verify");
  expect(wrong).toMatchObject({ status: 1, stdout: "" });
  expect(wrong.stderr).toMatch(errorLine("[A-Z_]+"));
});

test("--device shows fields", async () => {
  const path = file("a", STREAM);
  expect(await inspect(path, "--device", "dev")).toEqual({
    status: 0,
    stdout: "dev: version 1, 4 bytes, by description\n  data  buffer  01020304\n",
    stderr: "",
  });
  const json = await inspect(path, "--device", "dev/0", "--json");
  expect(objectsIn(json.stdout)).toMatchObject([{ item: "device", fields: { data: "01020304" } }]);
  const { stderr } = await inspect(path, "--device", "gpu");
  expect(stderr).toMatch(errorLine("BAD_PARAMETER"));
  expect(stderr).toContain("it has globalstate, dev");
});

describe("--ram", () => {
  /** Each odd page of the block is its number. */
  function expected(pages: number): Buffer {
    const ram = Buffer.alloc(VM_BLOCK.length);
    for (let page = 1; page < pages; page += 2) ram.fill(page, page * 4096, (page + 1) * 4096);
    return ram;
  }

  test("writes the contents of a block, and replaces no file unless it is told to", async () => {
    const [path, output] = [file("a", STREAM), inDirectory("ram")];
    const extract = (...more: readonly string[]) =>
      inspect(path, "--ram", VM_BLOCK.name, "-o", output, ...more);
    expect(await extract()).toEqual({
      status: 0,
      stdout: `vm.ram: 1048576 bytes (1 MiB) written to ${output}\n`,
      stderr: "",
    });
    expect(Buffer.compare(readFileSync(output), expected(256))).toBe(0);
    writeFileSync(output, "mine");
    const refused = await extract();
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(errorLine("WRITE_FAILED"));
    expect(readFileSync(output, "utf8")).toBe("mine");
    expect(await extract("--force")).toMatchObject({ status: 0 });
    expect(Buffer.compare(readFileSync(output), expected(256))).toBe(0);
  });

  test("leaves nothing of a stream that is cut off, unless it is told to", async () => {
    const [path, output] = [file("a", CUT), inDirectory("ram")];
    const before = readdirSync(peregrine.directory);
    const cut = await inspect(path, "--ram", VM_BLOCK.name, "-o", output);
    expect(cut).toMatchObject({ status: 1, stdout: "" });
    expect(readdirSync(peregrine.directory)).toEqual(before);
    const salvaged = await inspect(path, "--ram", VM_BLOCK.name, "-o", output, "--salvage");
    expect(salvaged).toMatchObject({ status: 1, stderr: cut.stderr });
    expect(salvaged.stdout).toContain("207 pages missing");
    expect(Buffer.compare(readFileSync(output), expected(49))).toBe(0);
  });

  test("leaves nothing when it is interrupted", async () => {
    const process = peregrine.start("inspect", "-", "--ram", VM_BLOCK.name, "-o", inDirectory("ram"));
    process.write(CUT);
    const part = inDirectory(`ram.${process.pid}.part`);
    await vi.waitUntil(() => existsSync(part), { timeout: 15_000 });
    process.signal("SIGTERM");
    expect(await process.finished()).toEqual({ status: 143, stdout: "", stderr: "" });
    expect(readdirSync(peregrine.directory).filter((name) => name.startsWith("ram"))).toEqual([]);
  });
});

test("--diff compares, and its status says whether anything differs", async () => {
  const [a, same] = [file("a", STREAM), file("same", STREAM)];
  expect(await inspect(a, "--diff", same)).toEqual({ status: 0, stdout: "no difference\n", stderr: "" });
  const other = Buffer.from(STREAM);
  other[other.indexOf(Buffer.from([1, 2, 3, 4]))] = 9;
  other[other.indexOf(Buffer.alloc(4096, 255))] = 0;
  expect(await inspect(a, "--diff", file("other", other))).toEqual({
    status: 1,
    stdout:
      "RAM block 'vm.ram': 1 of 256 pages differ, at 0xff000 (4 KiB)\n" +
      "device 'dev': data: 01020304 | 09020304\n",
    stderr: "",
  });
});

test.each([
  ["NO_SUCH_FILE", () => ["/nowhere/x"]],
  ["NO_SUCH_FILE", () => ["nothing"]],
  ["NO_SUCH_FILE", () => [peregrine.directory]],
  ["NOT_A_STREAM", () => [file("elf", Buffer.from("\x7fELF"))]],
  ["TRUNCATED", () => [file("empty", Buffer.alloc(0)), "--verify"]],
  ["BAD_PARAMETER", () => [file("a", STREAM), file("b", STREAM)]],
  ["BAD_PARAMETER", () => ["-", "-"]],
  ["BAD_PARAMETER", () => [file("a", STREAM), "--ram", "vga", "-o", inDirectory("ram")]],
  ["WRITE_FAILED", () => [file("a", STREAM), "--ram", VM_BLOCK.name, "-o", "/nowhere/x"]],
] as const)("%s is said in one sentence", async (code, args) => {
  const { status, stdout, stderr } = await inspect(...args());
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(errorLine(code));
});

test("a wrong flag has a status of its own", async () => {
  const { status, stderr } = await inspect("x", "--ram", "y");
  expect(status).toBe(2);
  expect(stderr).toMatch(errorLine("USAGE"));
});

test("a stream of our own is walked with nothing but its vmdescription", async () => {
  const path = file("wasm", await recordMigration(peregrine));
  expect(await inspect(path, "--verify")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^valid: wasm-1, /u),
  });
  const store = new DeviceStore(DEFAULT_LIMITS);
  await inspectInputs(
    { paths: [path], maxRam: 2 ** 40 },
    {
      listener: {
        device: (header, payload, cutBy) => store.add(header, payload, cutBy),
        described: (description) => {
          store.description = description;
        },
      },
    },
  );
  const described = store.devices.map(({ header, payload }) => {
    const fields = fieldTree(store.describedAs(header)!, payload);
    return [header.name, Object.keys(fields).length > 0];
  });
  expect(described).toEqual([
    ["wasm-module", true],
    ["wasi-setup", true],
    ["wasm-cpu", true],
    ["wasi", true],
    ["globalstate", true],
  ]);
});
