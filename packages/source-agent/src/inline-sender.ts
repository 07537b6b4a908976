import {
  ByteWriter,
  DELTA_OVERFLOW,
  DELTA_UNCHANGED,
  encodeRamBlockList,
  openPageKernel,
  RamPageEncoder,
  workMemoryBytes,
} from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics } from "@peregrine/shared-state";
import { DELTA_ENCODER_BYTES, DeltaEncoder } from "./delta-encoder.ts";
import { RUN_PAGES } from "./outgoing-stream.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

/**
 * Sends pages in the main stream: copies a run out of the guest, tests the pages for zero and encodes them
 * into the stream's buffer, whole or as deltas.
 */
export class InlineSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #stream: OutgoingStream;
  readonly #statistics: MigrationStatistics;
  readonly #encoder = new RamPageEncoder();
  readonly #kernel = openPageKernel(workMemoryBytes([RUN_PAGES * PAGE_SIZE, DELTA_ENCODER_BYTES]));
  /** Where in the work memory pages are copied to. */
  readonly #copy = this.#kernel.take(RUN_PAGES * PAGE_SIZE);
  /** Where each block begins when all are laid end to end. */
  readonly #addresses: readonly number[];
  readonly #deltas: DeltaEncoder | undefined;

  constructor({
    ram,
    stream,
    capabilities,
    parameters,
    statistics,
    now,
  }: Pick<PageSenderOptions, "ram" | "stream" | "capabilities" | "parameters" | "statistics" | "now">) {
    this.#ram = ram;
    this.#stream = stream;
    this.#statistics = statistics;
    let ramBytes = 0;
    this.#addresses = ram.blocks.map(({ length }) => {
      ramBytes += length;
      return ramBytes - length;
    });
    const kernel = this.#kernel;
    if (capabilities.xbzrle)
      this.#deltas = new DeltaEncoder({ kernel, ramBytes, parameters, statistics, now });
  }

  get runPages(): number {
    return this.#stream.pagesUntilFull;
  }

  async start(): Promise<void> {
    const writer = new ByteWriter();
    // The most that each block can hold: a block may grow while it is sent, and offsets are checked against this.
    encodeRamBlockList(writer, this.#ram.blocks);
    await this.#stream.append(writer.view());
  }

  beginSection(kind: "part" | "end"): undefined {
    this.#deltas?.beginSection(kind);
  }

  run(block: number, page: number, count: number): Promise<void> | undefined {
    const name = this.#ram.blocks[block]!.name;
    this.#ram.readPages(block, page, count, this.#kernel.bytes, this.#copy);
    this.#kernel.zeroPages(this.#copy, count);
    for (let n = 0; n < count; n++)
      this.#put(block, name, (page + n) * PAGE_SIZE, this.#copy + n * PAGE_SIZE, this.#kernel.isZero(n));
    return this.#stream.full ? this.#stream.send() : undefined;
  }

  endSection(): undefined {}

  close(): undefined {}

  /** @param page where in the work memory it is. */
  #put(block: number, name: string, offset: number, page: number, isZero: boolean): void {
    const deltas = this.#deltas;
    const { buffer, length } = this.#stream;
    const address = this.#addresses[block]! + offset;
    if (isZero) {
      deltas?.zeroPage(address);
      this.#stream.advance(this.#encoder.putZeroPage(buffer, length, name, offset));
      this.#statistics.duplicate++;
      return;
    }
    const delta = deltas === undefined ? DELTA_OVERFLOW : deltas.encode(address, page);
    if (delta === DELTA_UNCHANGED) return;
    if (deltas === undefined || delta === DELTA_OVERFLOW) {
      const bytes = this.#kernel.bytes.subarray(page, page + PAGE_SIZE);
      this.#stream.advance(this.#encoder.putPage(buffer, length, name, offset, bytes));
      this.#statistics.normal++;
      return;
    }
    const bytes = deltas.delta.subarray(0, delta);
    this.#stream.advance(this.#encoder.putDelta(buffer, length, name, offset, bytes));
  }
}
