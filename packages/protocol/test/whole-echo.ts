import { expect } from "vitest";
import {
  ByteWriter,
  DEFAULT_LIMITS,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescriptionText,
  RamDecoder,
  RamPageEncoder,
} from "../src/index.ts";
import type {
  Command,
  Configuration,
  CutBy,
  OpaqueDevice,
  PageEncoding,
  PayloadDecoder,
  RamBlockEntry,
  RamSink,
  SectionHeader,
  StreamHandler,
} from "../src/index.ts";

export interface EchoedDevice {
  readonly header: SectionHeader;
  readonly payload: Uint8Array;
  readonly by: CutBy;
}

/** Encodes again what it is told of a whole stream, and keeps guest memory and devices. */
export class WholeEcho implements StreamHandler, RamSink {
  readonly w = new ByteWriter(16 * 1024 * 1024);
  readonly commands: Command[] = [];
  readonly devices: EchoedDevice[] = [];
  /** Number of devices that came in a package. */
  packaged = 0;
  undivided: Uint8Array | undefined;
  configured: Configuration | undefined;
  description: string | undefined;
  /** Guest memory, filled with something that is in no guest so that a page left out shows. */
  readonly memory: Uint8Array[] = [];
  blocks: readonly RamBlockEntry[] = [];
  readonly #footers: boolean;
  #encoder = new RamPageEncoder();
  readonly #ram = new RamDecoder({ limits: DEFAULT_LIMITS, sink: this });
  /** The page that comes next was written as a delta. */
  #pageWasEncoded = false;

  constructor(footers: boolean) {
    this.#footers = footers;
    encodeHeader(this.w);
  }

  configuration(configuration: Configuration): void {
    this.configured = configuration;
    encodeConfiguration(this.w, configuration);
  }

  command(command: Command): void {
    this.commands.push(command);
    // With the switch to postcopy QEMU begins anew: the first page names its block again.
    if (command.kind === "packaged") this.#encoder = new RamPageEncoder();
    encodeCommand(this.w, command);
  }

  packageEnd(): void {
    this.packaged = this.devices.length;
  }

  open(header: SectionHeader): PayloadDecoder | OpaqueDevice {
    if (header.kind === "full") return this.#device(header);
    encodeSectionHeader(this.w, { ...header, kind: "start" });
    return this.live(header);
  }

  /** What reads a section with parts. */
  protected live(header: SectionHeader): PayloadDecoder {
    expect(header).toMatchObject({ name: "ram", instance: 0, version: 4 });
    return this.#ram;
  }

  part({ kind, id }: SectionHeader): void {
    encodeSectionContinuation(this.w, { kind: kind === "end" ? "end" : "part", id });
  }

  close(header: SectionHeader): void {
    if (header.name === "ram") this.#encoder.endOfSection(this.w);
    if (this.#footers) encodeFooter(this.w, header.id);
  }

  endMark(): void {
    encodeEndMark(this.w);
  }

  vmDescription(text: string): void {
    this.description = text;
    encodeVmDescriptionText(this.w, text);
  }

  blockList(blocks: readonly RamBlockEntry[]): void {
    this.blocks = [...blocks];
    for (const { length } of blocks) this.memory.push(new Uint8Array(length).fill(0xaa));
    encodeRamBlockList(this.w, blocks);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    expect(fill).toBe(0);
    this.memory[block]!.fill(fill, offset, offset + 4096);
    this.#encoder.zeroPage(this.w, this.blocks[block]!.name, offset);
  }

  encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    expect(encoding).toBe("xbzrle");
    this.#encoder.delta(this.w, this.blocks[block]!.name, offset, data);
    this.#pageWasEncoded = true;
    return true;
  }

  presentPage(block: number, offset: number): Uint8Array {
    return this.memory[block]!.subarray(offset, offset + 4096);
  }

  multifdFlush(): boolean {
    this.#encoder.multifdFlush(this.w);
    return true;
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.memory[block]!.set(bytes, offset);
    if (this.#pageWasEncoded) {
      this.#pageWasEncoded = false;
      return;
    }
    this.#encoder.page(this.w, this.blocks[block]!.name, offset, bytes);
  }

  block(name: string): Uint8Array {
    return this.memory[this.blocks.findIndex((one) => one.name === name)]!;
  }

  #device(header: SectionHeader): OpaqueDevice {
    encodeSectionHeader(this.w, { ...header, kind: "full" });
    return {
      payload: (payload: Uint8Array, by: CutBy) => {
        this.devices.push({ header, payload: payload.slice(), by });
        this.w.bytes(payload);
      },
      ...(this.#footers
        ? {}
        : {
            undivided: (bytes: Uint8Array) => {
              this.undivided = bytes.slice();
              this.w.bytes(bytes);
            },
          }),
    };
  }
}
