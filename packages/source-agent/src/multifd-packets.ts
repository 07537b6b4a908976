import {
  HEAD_BYTES,
  MULTIFD_HEADER_BYTES,
  MULTIFD_OFFSETS_AT,
  MULTIFD_PACKET_PAGES,
  openPageKernel,
  PLACE_BYTES,
  putPlace,
  WORD_BYTES,
  workMemoryBytes,
} from "@peregrine/protocol";
import type { GuestPages, MultifdChannelEncoder, MultifdPacket, PageKernel } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, PagesInPlace } from "@peregrine/shared-state";
import { GatherList } from "@peregrine/transport";
import type { Channel, Gathering } from "@peregrine/transport";

const HEADS_BYTES = MULTIFD_PACKET_PAGES * HEAD_BYTES;
/** The header, and for each page its head and the rest of it. */
const VECTOR_BYTES = (1 + 2 * MULTIFD_PACKET_PAGES) * PLACE_BYTES;
/** Room for the header in front of the pages, so that both are one write. */
const COPY_BYTES = MULTIFD_HEADER_BYTES + MULTIFD_PACKET_PAGES * PAGE_SIZE;

/** A packet of pages while it is made and sent. */
export interface Packet {
  /** Name of the block that its pages are in. */
  block: string;
  /** How many they are. */
  readonly pages: number;
  /** Begins a new one. */
  clear(): void;
  /**
   * Adds those of some pages that do not have only zeros; the kernel tells of the others.
   * @returns how many have only zeros.
   */
  add(block: number, page: number, count: number): number;
  /** Sends it. @returns its bytes. Errors: CHANNEL_FAILED, and what the compressor fails with. */
  send(of: Pick<MultifdPacket, "sync" | "packetNumber">): Promise<number>;
}

/** What the packets of one connection have in common. */
interface PacketContext {
  readonly channel: Channel;
  readonly ram: GuestRam;
  readonly encoder: MultifdChannelEncoder;
  readonly kernel: PageKernel;
}

/**
 * Makes packets for one connection.
 * @param isCompressed whether the encoder compresses: what is compressed has to be in one piece.
 * @param gathering of the channel, if it has that.
 * @returns so many packets, and the kernel that tells which of the pages added last have only zeros.
 */
export function openPackets(
  context: Omit<PacketContext, "kernel">,
  {
    count,
    isCompressed,
    gathering,
  }: { count: number; isCompressed: boolean; gathering: Gathering | undefined },
): { readonly packets: Packet[]; readonly kernel: PageKernel } {
  const blocks = isCompressed || gathering === undefined ? undefined : blocksInPlace(context.ram);
  const parts = blocks === undefined ? [COPY_BYTES] : [MULTIFD_HEADER_BYTES, HEADS_BYTES, VECTOR_BYTES];
  const kernel = openPageKernel(workMemoryBytes(Array.from({ length: count }, () => parts).flat()));
  const shared = { ...context, kernel };
  if (blocks === undefined || gathering === undefined)
    return { kernel, packets: Array.from({ length: count }, () => new CopiedPacket(shared)) };
  const work = gathering.addressOf(kernel.bytes);
  const opened = blocks.map((ram) => {
    const guest = gathering.addressOf(new Uint8Array(ram.memory.buffer));
    return { ram, pages: kernel.openGuest(ram.memory, ram.heads, { work, guest }) };
  });
  return {
    kernel,
    packets: Array.from({ length: count }, () => new GatheredPacket(shared, gathering, work, opened)),
  };
}

/** Undefined when the pages of one of them have to be copied. */
function blocksInPlace(ram: GuestRam): PagesInPlace[] | undefined {
  const blocks: PagesInPlace[] = [];
  for (const block of ram.blocks.keys()) {
    const inPlace = ram.inPlace?.(block);
    if (inPlace === undefined) return undefined;
    blocks.push(inPlace);
  }
  return blocks;
}

/** Pages are copied out of the guest as they are added. */
class CopiedPacket implements Packet {
  readonly #context: PacketContext;
  readonly #at: number;
  readonly #bytes: Uint8Array;
  block = "";
  pages = 0;

  constructor(context: PacketContext) {
    this.#context = context;
    this.#at = context.kernel.take(COPY_BYTES);
    this.#bytes = context.kernel.bytes.subarray(this.#at, this.#at + COPY_BYTES);
  }

  clear(): void {
    this.pages = 0;
  }

  add(block: number, page: number, count: number): number {
    const { ram, kernel } = this.#context;
    const at = this.#at + MULTIFD_HEADER_BYTES + this.pages * PAGE_SIZE;
    ram.readPages(block, page, count, kernel.bytes, at);
    const words = this.#at + MULTIFD_OFFSETS_AT + this.pages * WORD_BYTES;
    const added = kernel.packPages(at, count, page * PAGE_SIZE, words);
    this.pages += added;
    return count - added;
  }

  async send(of: Pick<MultifdPacket, "sync" | "packetNumber">): Promise<number> {
    const { encoder, channel } = this.#context;
    const end = MULTIFD_HEADER_BYTES + this.pages * PAGE_SIZE;
    const pages = this.#bytes.subarray(MULTIFD_HEADER_BYTES, end);
    const header = this.#bytes.subarray(0, MULTIFD_HEADER_BYTES);
    const payload = await encoder.payload(pages);
    encoder.header(header, { ...of, block: this.block, pages: this.pages, zeroPages: 0 }, payload.length);
    if (payload === pages) await channel.write(this.#bytes.subarray(0, end));
    else await Promise.all([channel.write(header), channel.write(payload)]);
    return header.length + payload.length;
  }
}

interface OpenedBlock {
  readonly ram: PagesInPlace;
  readonly pages: GuestPages;
}

/**
 * Pages stay where they are until they are written. That is as good as when they were added: their bits in the dirty bitmap are clear,
 * and stores to a page make marks of its own, but for those to its head from the page before, which is copied.
 */
class GatheredPacket implements Packet {
  readonly #context: PacketContext;
  readonly #gathering: Gathering;
  readonly #work: number;
  readonly #blocks: readonly OpenedBlock[];
  readonly #at: number;
  readonly #heads: number;
  readonly #vector: number;
  readonly #header: Uint8Array;
  readonly #places: Uint32Array;
  readonly #list: GatherList;
  block = "";
  pages = 0;

  constructor(context: PacketContext, gathering: Gathering, work: number, blocks: readonly OpenedBlock[]) {
    const { kernel } = context;
    this.#context = context;
    this.#gathering = gathering;
    this.#work = work;
    this.#blocks = blocks;
    this.#at = kernel.take(MULTIFD_HEADER_BYTES);
    this.#heads = kernel.take(HEADS_BYTES);
    this.#vector = kernel.take(VECTOR_BYTES);
    this.#header = kernel.bytes.subarray(this.#at, this.#at + MULTIFD_HEADER_BYTES);
    this.#places = new Uint32Array(kernel.bytes.buffer);
    this.#list = new GatherList(kernel.bytes.subarray(this.#vector, this.#vector + VECTOR_BYTES));
  }

  clear(): void {
    this.pages = 0;
  }

  add(block: number, page: number, count: number): number {
    const { ram, pages } = this.#blocks[block]!;
    const before = this.pages;
    ram.reading(page, count);
    const added = pages.gatherPages(
      page * PAGE_SIZE,
      count,
      page * PAGE_SIZE,
      this.#at + MULTIFD_OFFSETS_AT + before * WORD_BYTES,
      this.#heads + before * HEAD_BYTES,
      this.#vector + (1 + 2 * before) * PLACE_BYTES,
    );
    this.pages += added;
    return count - added;
  }

  async send(of: Pick<MultifdPacket, "sync" | "packetNumber">): Promise<number> {
    const { pages, block } = this;
    const payloadBytes = pages * PAGE_SIZE;
    this.#context.encoder.header(this.#header, { ...of, block, pages, zeroPages: 0 }, payloadBytes);
    putPlace(this.#places, this.#vector / PLACE_BYTES, this.#work + this.#at, MULTIFD_HEADER_BYTES);
    this.#list.set(1 + 2 * pages, MULTIFD_HEADER_BYTES + payloadBytes);
    await this.#gathering.write(this.#list);
    return MULTIFD_HEADER_BYTES + payloadBytes;
  }
}
