import { describe, expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings, sha256 } from "../test/fixtures.ts";
import type { Fixture } from "../test/fixtures.ts";
import {
  applyDelta,
  ByteWriter,
  DEFAULT_LIMITS,
  encodeCommand,
  encodeConfiguration,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  RamDecoder,
  RamPageEncoder,
  StreamDecoder,
} from "./index.ts";
import type {
  ByteReader,
  Command,
  Configuration,
  PageEncoding,
  PayloadDecoder,
  RamBlockEntry,
  RamSink,
  SectionHeader,
  StreamHandler,
  StreamDecoderOptions,
} from "./index.ts";

class FirstDevice extends Error {}

/** Rebuilds guest memory, and encodes again what it is told. Ends at the first device section. */
class Echo implements StreamHandler, RamSink {
  readonly w = new ByteWriter(16 * 1024 * 1024);
  readonly kinds: string[] = [];
  readonly commands: Command[] = [];
  machineType: string | undefined;
  memory: Uint8Array[] = [];
  readonly #footers: boolean;
  readonly #encoder = new RamPageEncoder();
  readonly #ram = new RamDecoder({ limits: DEFAULT_LIMITS, sink: this });
  #blocks: readonly RamBlockEntry[] = [];
  /** Where the present section begins in `w`; -1 between sections. */
  #sectionAt = -1;

  constructor(footers: boolean) {
    this.#footers = footers;
    encodeHeader(this.w);
  }

  configuration(configuration: Configuration): void {
    this.machineType = configuration.machineType;
    encodeConfiguration(this.w, configuration);
  }

  command(command: Command): void {
    this.commands.push(command);
    encodeCommand(this.w, command);
  }

  open(header: SectionHeader): PayloadDecoder {
    if (header.kind === "full") throw new FirstDevice(header.name);
    expect(header).toMatchObject({ name: "ram", instance: 0, version: 4 });
    this.#sectionAt = this.w.length;
    encodeSectionHeader(this.w, { ...header, kind: "start" });
    return {
      decode: (input: ByteReader) => {
        if (this.#sectionAt < 0) this.#continue(header.id);
        return this.#ram.decode(input);
      },
    };
  }

  close(header: SectionHeader): void {
    this.kinds.push(header.kind);
    this.#encoder.endOfSection(this.w);
    if (this.#footers) encodeFooter(this.w, header.id);
    if (header.kind === "end") this.w.view()[this.#sectionAt] = 3;
    this.#sectionAt = -1;
  }

  /** Begins a PART. Whether it is the END is known when it is closed. */
  #continue(id: number): void {
    this.#sectionAt = this.w.length;
    encodeSectionContinuation(this.w, { kind: "part", id });
  }

  endMark(): void {
    throw new Error("the stream ended before a device section");
  }

  vmDescription(): void {
    throw new Error("the stream ended before a device section");
  }

  blockList(blocks: readonly RamBlockEntry[]): void {
    this.#blocks = [...blocks];
    this.memory = blocks.map(({ length }) => new Uint8Array(length).fill(0xaa));
    encodeRamBlockList(this.w, blocks);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    expect(fill).toBe(0);
    this.memory[block]!.fill(fill, offset, offset + 4096);
    this.#encoder.zeroPage(this.w, this.#blocks[block]!.name, offset);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.memory[block]!.set(bytes, offset);
    this.#encoder.page(this.w, this.#blocks[block]!.name, offset, bytes);
  }

  /** Deltas are applied here and written again as they came. */
  encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    expect(encoding).toBe("xbzrle");
    applyDelta(data, this.memory[block]!.subarray(offset, offset + 4096));
    this.#encoder.delta(this.w, this.#blocks[block]!.name, offset, data);
    return false;
  }

  block(name: string): Uint8Array {
    return this.memory[this.#blocks.findIndex((one) => one.name === name)]!;
  }
}

/** Decodes up to the first device section, in chunks of `size` bytes. @returns the offset of that section. */
function run(
  bytes: Uint8Array,
  echo: Echo,
  size: number,
  options: Partial<StreamDecoderOptions> = {},
): number {
  const decoder = new StreamDecoder({ ...options, limits: DEFAULT_LIMITS, handler: echo });
  try {
    for (let at = 0; at < bytes.length; at += size) decoder.push(bytes.subarray(at, at + size));
  } catch (error) {
    if (!(error instanceof FirstDevice)) throw error;
    // Type, id, counted name, instance, version.
    return decoder.offset - (1 + 4 + 1 + error.message.length + 4 + 4);
  }
  throw new Error("there was no device section");
}

function check(of: Fixture, bytes: Uint8Array, echo: Echo, end: number): void {
  const memory = echo.block(of.ramBlock);
  expect(memory).toHaveLength(of.ramBytes);
  expect(sha256(memory)).toBe(of.ramSha256);
  expect(echo.w.length).toBe(end);
  expect(sha256(echo.w.view())).toBe(sha256(bytes.subarray(0, end)));
}

describe.skipIf(noRecordings)("streams recorded from real QEMU", () => {
  describe.each([
    ["pc-72", "pc-i440fx-7.2"],
    ["pc-100", "pc-i440fx-10.0"],
  ])("%s, recorded from real QEMU", (name, machineType) => {
    test.each([65_536, 1_000_003])(
      "memory is rebuilt and the stream encoded again byte for byte, %i at a time",
      (size) => {
        const of = fixture(name);
        const bytes = fixtureFile(of, `${name}.stream.zst`);
        const echo = new Echo(true);
        const end = run(bytes, echo, size);
        expect(echo.machineType).toBe(machineType);
        expect(echo.kinds[0]).toBe("start");
        expect(echo.kinds.slice(1, -1).every((kind) => kind === "part")).toBe(true);
        expect(echo.kinds.at(-1)).toBe("end");
        check(of, bytes, echo, end);
      },
    );
  });

  test("a busy guest, with every page sent several times", () => {
    const of = fixture("pc-100-dirty");
    const bytes = fixtureFile(of, "pc-100-dirty.stream.zst");
    const echo = new Echo(true);
    check(of, bytes, echo, run(bytes, echo, 65_536));
  });

  test.each(["pc-72-xbzrle", "pc-100-xbzrle"])("%s: pages sent as deltas", (name) => {
    const of = fixture(name);
    const bytes = fixtureFile(of, `${name}.stream.zst`);
    const echo = new Echo(true);
    check(of, bytes, echo, run(bytes, echo, 65_536));
  });

  test("a return path opened by the source", () => {
    const of = fixture("pc-72-retpath");
    const bytes = fixtureFile(of, "pc-72-retpath.c0.stream.zst");
    const echo = new Echo(true);
    check(of, bytes, echo, run(bytes, echo, 65_536));
    expect(echo.commands).toEqual([{ kind: "open-return-path" }, { kind: "ping", value: 1 }]);
  });

  test("a machine type without configuration and footers, when they may be missing", () => {
    const of = fixture("pc20-72");
    const bytes = fixtureFile(of, "pc20-72.stream.zst");
    const echo = new Echo(false);
    const end = run(bytes, echo, 65_536, { configuration: "optional", footers: "detected" });
    expect(echo.machineType).toBeUndefined();
    check(of, bytes, echo, end);
  });
});
