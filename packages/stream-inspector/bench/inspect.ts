/**
 * How fast `peregrine inspect` reads a stream, from a file and from a pipe, and how much memory it takes.
 * `pnpm bench:inspect [MiB]`; the stream has 1024 MiB of pages by default, and a fifth as many zero pages.
 */
import {
  ByteWriter,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  RAM_SECTION,
  RamPageEncoder,
  WIRE_PAGE_SIZE,
} from "@peregrine/protocol";
import { spawn } from "node:child_process";
import type { StdioOptions } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../../cli/build.ts";
import { PEREGRINE } from "../../cli/built.ts";

const MIB = 2 ** 20;
const BLOCK = "pc.ram";
const RAM_ID = 1;
/** Pages in a PART section. */
const SECTION_PAGES = 2048;
/** Of so many pages one is zero. */
const ZERO_STEP = 6;
const ROUNDS = 3;

/** Lets a process tell the most memory that it had, in KiB, on descriptor 3. */
const TELL_MEMORY =
  'data:text/javascript,import{writeSync}from"node:fs";' +
  'process.on("exit",()=>writeSync(3,String(process.resourceUsage().maxRSS)));';
const INSPECT = [process.execPath, "--import", TELL_MEMORY, PEREGRINE, "inspect"];

function writeStream(path: string, mebibytes: number): void {
  const fd = openSync(path, "w");
  const w = new ByteWriter(2 * SECTION_PAGES * WIRE_PAGE_SIZE);
  const encoder = new RamPageEncoder();
  const random = randomFillSync(new Uint8Array(64 * WIRE_PAGE_SIZE));
  const pages = Math.ceil((mebibytes * MIB) / WIRE_PAGE_SIZE / (1 - 1 / ZERO_STEP));
  const endSection = (): void => {
    encoder.endOfSection(w);
    encodeFooter(w, RAM_ID);
    writeSync(fd, w.view());
    w.reset();
  };
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "pc-i440fx-10.0" });
  encodeSectionHeader(w, { kind: "start", id: RAM_ID, ...RAM_SECTION });
  encodeRamBlockList(w, [{ name: BLOCK, length: pages * WIRE_PAGE_SIZE }]);
  endSection();
  for (let page = 0; page < pages; page++) {
    if (page % SECTION_PAGES === 0) encodeSectionContinuation(w, { kind: "part", id: RAM_ID });
    const at = (page % 64) * WIRE_PAGE_SIZE;
    const offset = page * WIRE_PAGE_SIZE;
    if (page % ZERO_STEP === 0) encoder.zeroPage(w, BLOCK, offset);
    else encoder.page(w, BLOCK, offset, random.subarray(at, at + WIRE_PAGE_SIZE));
    if ((page + 1) % SECTION_PAGES === 0 || page + 1 === pages) endSection();
  }
  encodeSectionContinuation(w, { kind: "end", id: RAM_ID });
  endSection();
  encodeEndMark(w);
  writeSync(fd, w.view());
  closeSync(fd);
}

interface Run {
  readonly seconds: number;
  /** KiB; 0 when the process does not tell it. */
  readonly memory: number;
}

/** Runs a command to its end. @param input the output of this command is its standard input. */
async function run(command: readonly string[], input?: readonly string[]): Promise<Run> {
  const began = performance.now();
  const stdio: StdioOptions = ["ignore", "ignore", "inherit", "pipe"];
  const producer =
    input === undefined
      ? undefined
      : spawn(input[0]!, input.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  if (producer !== undefined) stdio[0] = producer.stdout;
  const child = spawn(command[0]!, command.slice(1), { stdio });
  // The child has it; nothing is to be read here.
  producer?.stdout.destroy();
  let told = "";
  child.stdio[3]!.on("data", (text: Buffer) => (told += text.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  if (status !== 0) throw new Error(`${command.join(" ")} ended with status ${status}`);
  return { seconds: (performance.now() - began) / 1000, memory: Number(told) };
}

/** The best of some rounds, which is the one that was disturbed least; but the most memory of all. */
async function best(command: readonly string[], input?: readonly string[]): Promise<Run> {
  const runs: Run[] = [];
  for (let round = 0; round < ROUNDS; round++) runs.push(await run(command, input));
  return {
    seconds: Math.min(...runs.map(({ seconds }) => seconds)),
    memory: Math.max(...runs.map(({ memory }) => memory)),
  };
}

async function main(): Promise<void> {
  await build();
  const directory = mkdtempSync(join(tmpdir(), "peregrine-bench-"));
  try {
    const path = join(directory, "stream");
    writeStream(path, Number(process.argv[2] ?? 1024));
    const { size } = statSync(path);
    const speed = ({ seconds }: Run): number => size / seconds / 1e6;
    // Warms the page cache and the cache of compiled code.
    await run(["cat", path]);
    await run([...INSPECT, path]);
    console.log(
      `a stream of ${(size / MIB).toFixed(0)} MiB; the best of ${ROUNDS} runs, process start included`,
    );
    for (const [name, inspected, copied] of [
      ["file", await best([...INSPECT, path]), await best(["cat", path])],
      ["pipe", await best([...INSPECT, "-"], ["cat", path]), await best(["cat"], ["cat", path])],
    ] as const) {
      const ratio = inspected.seconds / copied.seconds;
      console.log(
        `${name}: ${speed(inspected).toFixed(0)} MB/s, ${ratio.toFixed(1)} times as long as cat ` +
          `(${speed(copied).toFixed(0)} MB/s); at most ${(inspected.memory / 1024).toFixed(0)} MiB of memory`,
      );
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

await main();
