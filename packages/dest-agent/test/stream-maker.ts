import {
  BLOCK_SECTION,
  ByteWriter,
  encodeBlockEnd,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  RAM_SECTION,
  RamPageEncoder,
} from "@peregrine/protocol";
import type { Command, RamBlockEntry, SectionHeader } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, SavedDevice } from "@peregrine/shared-state";
import type { TestMachine } from "@peregrine/shared-state/testing";

export const RAM_ID = 1;
const BLOCK_ID = 2;

/** Builds one piece of a stream with the encoders of the protocol. */
export function bytesOf(encode: (w: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  encode(writer);
  return writer.view().slice();
}

export function command(value: Command): Uint8Array {
  return bytesOf((w) => {
    encodeCommand(w, value);
  });
}

/** A section in one piece. */
export function fullSection(
  header: Omit<SectionHeader, "kind"> & { readonly kind?: "start" | "full" },
  payload: Uint8Array,
): Uint8Array {
  return bytesOf((w) => {
    encodeSectionHeader(w, { ...header, kind: header.kind ?? "full" });
    w.bytes(payload);
    encodeFooter(w, header.id);
  });
}

export function deviceSection(saved: SavedDevice, id = 10): Uint8Array {
  const { name, instance, version } = saved;
  return fullSection({ id, name, instance, version }, saved.payload);
}

/** `ram` START. Without blocks its payload is empty. */
export function ramStart(
  blocks: readonly RamBlockEntry[] | undefined,
  header: Partial<Omit<SectionHeader, "kind">> & { readonly kind?: "start" | "full" } = {},
): Uint8Array {
  const payload = bytesOf((w) => {
    if (blocks !== undefined) encodeRamBlockList(w, blocks);
    new RamPageEncoder().endOfSection(w);
  });
  return fullSection({ id: RAM_ID, ...RAM_SECTION, kind: "start", ...header }, payload);
}

/** `ram` PART or END with the records that `pages` writes. */
export function ramPart(kind: "part" | "end", pages: (w: ByteWriter) => void, id = RAM_ID): Uint8Array {
  return bytesOf((w) => {
    encodeSectionContinuation(w, { kind, id });
    pages(w);
    new RamPageEncoder().endOfSection(w);
    encodeFooter(w, id);
  });
}

/** A section `block` with the records that `records` writes. */
export function blockSection(
  kind: "start" | "part" | "end",
  records: (w: ByteWriter) => void = () => {},
  version: number = BLOCK_SECTION.version,
): Uint8Array {
  return bytesOf((w) => {
    if (kind === "start") encodeSectionHeader(w, { kind, id: BLOCK_ID, ...BLOCK_SECTION, version });
    else encodeSectionContinuation(w, { kind, id: BLOCK_ID });
    records(w);
    encodeBlockEnd(w);
    encodeFooter(w, BLOCK_ID);
  });
}

/** The records of all pages in use, zero pages as such. */
export function writePages(w: ByteWriter, ram: GuestRam, encoder: RamPageEncoder): void {
  const page = new Uint8Array(PAGE_SIZE);
  for (const [block, { name }] of ram.blocks.entries()) {
    for (let offset = 0; offset < ram.usedBytes(block); offset += PAGE_SIZE) {
      ram.readPages(block, offset / PAGE_SIZE, 1, page, 0);
      if (page.every((byte) => byte === 0)) encoder.zeroPage(w, name, offset);
      else encoder.page(w, name, offset, page);
    }
  }
}

export interface Piece {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A complete stream, in pieces that a test can take out, change and put in front of each other. */
export class TestStream {
  readonly pieces: readonly Piece[];

  constructor(pieces: readonly Piece[]) {
    this.pieces = pieces;
  }

  /** What a source of ours sends for a machine that stands still. */
  static async of(machine: TestMachine): Promise<TestStream> {
    const { ram } = machine.guest;
    const early = await machine.devices.saveAll("early");
    const late = await machine.devices.saveAll("late");
    const encoder = new RamPageEncoder();
    const devices = [...early, ...late].map((saved) => saved.description);
    return new TestStream([
      { name: "header", bytes: bytesOf(encodeHeader) },
      { name: "configuration", bytes: configuration(machine.type) },
      { name: "open-return-path", bytes: command({ kind: "open-return-path" }) },
      { name: "ping-1", bytes: command({ kind: "ping", value: 1 }) },
      ...early.map((saved) => ({ name: saved.name, bytes: deviceSection(saved) })),
      { name: "ping-2", bytes: command({ kind: "ping", value: 2 }) },
      { name: "ram-start", bytes: ramStart(ram.blocks) },
      {
        name: "ram-part",
        bytes: ramPart("part", (w) => {
          writePages(w, ram, encoder);
        }),
      },
      { name: "ram-end", bytes: ramPart("end", () => {}) },
      ...late.map((saved) => ({ name: saved.name, bytes: deviceSection(saved) })),
      { name: "end-mark", bytes: bytesOf(encodeEndMark) },
      {
        name: "vmdescription",
        bytes: bytesOf((w) => {
          encodeVmDescription(w, { page_size: PAGE_SIZE, devices });
        }),
      },
    ]);
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.pieces.map((piece) => piece.bytes));
  }

  /** Where the piece begins. */
  offsetOf(name: string): number {
    return this.pieces.slice(0, this.#indexOf(name)).reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  bytesOf(name: string): Uint8Array {
    return this.pieces[this.#indexOf(name)]!.bytes;
  }

  without(name: string): TestStream {
    return new TestStream(this.pieces.toSpliced(this.#indexOf(name), 1));
  }

  with(name: string, bytes: Uint8Array): TestStream {
    return new TestStream(this.pieces.with(this.#indexOf(name), { name, bytes }));
  }

  before(name: string, bytes: Uint8Array): TestStream {
    return new TestStream(this.pieces.toSpliced(this.#indexOf(name), 0, { name: "added", bytes }));
  }

  after(name: string, bytes: Uint8Array): TestStream {
    return new TestStream(this.pieces.toSpliced(this.#indexOf(name) + 1, 0, { name: "added", bytes }));
  }

  /** The bytes before the piece. */
  upTo(name: string): Uint8Array {
    return this.bytes.subarray(0, this.offsetOf(name));
  }

  #indexOf(name: string): number {
    const index = this.pieces.findIndex((piece) => piece.name === name);
    if (index < 0) throw new Error(`the stream has no '${name}'`);
    return index;
  }
}

export function configuration(machineType: string, more: object = {}): Uint8Array {
  return bytesOf((w) => {
    encodeConfiguration(w, { machineType, ...more });
  });
}
