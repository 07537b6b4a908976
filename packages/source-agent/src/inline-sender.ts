import { ByteWriter, encodeRamBlockList, RamPageEncoder } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics } from "@peregrine/shared-state";
import { RUN_PAGES } from "./outgoing-stream.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

/**
 * Sends pages in the main stream: copies a run out of the guest, tests the pages for zero and encodes them
 * into the stream's buffer.
 */
export class InlineSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #stream: OutgoingStream;
  readonly #statistics: MigrationStatistics;
  readonly #encoder = new RamPageEncoder();
  readonly #copy = Buffer.allocUnsafeSlow(RUN_PAGES * PAGE_SIZE);

  constructor({ ram, stream, statistics }: Pick<PageSenderOptions, "ram" | "stream" | "statistics">) {
    this.#ram = ram;
    this.#stream = stream;
    this.#statistics = statistics;
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

  beginSection(): undefined {}

  run(block: number, page: number, count: number): Promise<void> | undefined {
    const name = this.#ram.blocks[block]!.name;
    const target = this.#stream.buffer;
    const copy = this.#copy;
    let at = this.#stream.length;
    let zeroPages = 0;
    this.#ram.readPages(block, page, count, copy, 0);
    for (let n = 0; n < count; n++) {
      const from = n * PAGE_SIZE;
      const offset = (page + n) * PAGE_SIZE;
      if (copy.compare(ZERO_PAGE, 0, PAGE_SIZE, from, from + PAGE_SIZE) === 0) {
        at = this.#encoder.putZeroPage(target, at, name, offset);
        zeroPages++;
        continue;
      }
      at = this.#encoder.putPageHeader(target, at, name, offset);
      at += copy.copy(target, at, from, from + PAGE_SIZE);
    }
    this.#stream.advance(at);
    this.#statistics.duplicate += zeroPages;
    this.#statistics.normal += count - zeroPages;
    return this.#stream.full ? this.#stream.send() : undefined;
  }

  endSection(): undefined {}

  close(): undefined {}
}
