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

/** A packet with its header in front, so that both are one write. */
const COPY_BYTES = MULTIFD_HEADER_BYTES + MULTIFD_PACKET_PAGES * PAGE_SIZE;

/** Packets of pages that go out together, while they are made and sent. All but the last one are full. */
export interface Packets {
  /** Name of the block that their pages are in. */
  block: string;
  /** How many pages they have. */
  readonly pages: number;
  /** Pages that the last one has room for, or the next one. */
  readonly room: number;
  /** Begins new ones. */
  clear(): void;
  /**
   * Adds those of some pages that do not have only zeros; the kernel tells of the others.
   * @param count at most {@link room}.
   * @returns how many have only zeros.
   */
  add(block: number, page: number, count: number): number;
  /**
   * Sends them.
   * @param nextNumber gives each packet its number.
   * @returns their bytes. Errors: CHANNEL_FAILED, and what the compressor fails with.
   */
  send(nextNumber: () => number): Promise<number>;
}

/** What the packets of one connection have in common. */
interface PacketContext {
  readonly channel: Channel;
  readonly ram: GuestRam;
  readonly encoder: MultifdChannelEncoder;
  readonly kernel: PageKernel;
}

export interface PacketsOptions {
  /** How many can be under way. */
  readonly count: number;
  /** Packets that go out together: 1 where the encoder compresses. */
  readonly most: number;
  /** Whether the encoder compresses: what is compressed has to be in one piece. */
  readonly isCompressed: boolean;
  /** Of the channel, if it has that. */
  readonly gathering: Gathering | undefined;
}

/** @returns packets for one connection, and the kernel that tells which of the pages added last have only zeros. */
export function openPackets(
  context: Omit<PacketContext, "kernel">,
  { count, most, isCompressed, gathering }: PacketsOptions,
): { readonly packets: Packets[]; readonly kernel: PageKernel } {
  const blocks = isCompressed || gathering === undefined ? undefined : blocksInPlace(context.ram);
  const parts = blocks === undefined ? [most * COPY_BYTES] : Object.values(gatheredParts(most));
  const kernel = openPageKernel(workMemoryBytes(Array.from({ length: count }, () => parts).flat()));
  const shared = { ...context, kernel };
  if (blocks === undefined || gathering === undefined)
    return { kernel, packets: Array.from({ length: count }, () => new CopiedPackets(shared, most)) };
  const work = gathering.addressOf(kernel.bytes);
  const opened = blocks.map((ram) => {
    const guest = gathering.addressOf(new Uint8Array(ram.memory.buffer));
    return { ram, pages: kernel.openGuest(ram.memory, ram.heads, { work, guest }) };
  });
  const gathered = (): Packets => new GatheredPackets(shared, most, { gathering, work, blocks: opened });
  return { kernel, packets: Array.from({ length: count }, gathered) };
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

/** How many pages the present packet has, and how many come before it. */
abstract class CountedPackets {
  block = "";
  pages = 0;

  clear(): void {
    this.pages = 0;
  }

  get room(): number {
    return MULTIFD_PACKET_PAGES - (this.pages % MULTIFD_PACKET_PAGES);
  }

  /** Number of the packet that the next page goes into. */
  protected get present(): number {
    return Math.floor(this.pages / MULTIFD_PACKET_PAGES);
  }

  /** How many packets there are. */
  protected get length(): number {
    return Math.ceil(this.pages / MULTIFD_PACKET_PAGES);
  }

  /** Pages of a packet. */
  protected pagesOf(packet: number): number {
    return Math.min(this.pages - packet * MULTIFD_PACKET_PAGES, MULTIFD_PACKET_PAGES);
  }

  protected packet(number: number, nextNumber: () => number): MultifdPacket {
    const { block } = this;
    return { sync: false, packetNumber: nextNumber(), block, pages: this.pagesOf(number), zeroPages: 0 };
  }
}

/** Pages are copied out of the guest as they are added. */
class CopiedPackets extends CountedPackets implements Packets {
  readonly #context: PacketContext;
  readonly #at: number;

  constructor(context: PacketContext, most: number) {
    super();
    this.#context = context;
    this.#at = context.kernel.take(most * COPY_BYTES);
  }

  add(block: number, page: number, count: number): number {
    const { ram, kernel } = this.#context;
    const packetAt = this.#at + this.present * COPY_BYTES;
    const before = this.pages % MULTIFD_PACKET_PAGES;
    const at = packetAt + MULTIFD_HEADER_BYTES + before * PAGE_SIZE;
    ram.readPages(block, page, count, kernel.bytes, at);
    const words = packetAt + MULTIFD_OFFSETS_AT + before * WORD_BYTES;
    const added = kernel.packPages(at, count, page * PAGE_SIZE, words);
    this.pages += added;
    return count - added;
  }

  async send(nextNumber: () => number): Promise<number> {
    const { encoder, channel } = this.#context;
    let end = 0;
    for (let packet = 0; packet < this.length; packet++) {
      const header = this.#bytes(packet * COPY_BYTES, MULTIFD_HEADER_BYTES);
      const pages = this.#bytes(end + MULTIFD_HEADER_BYTES, this.pagesOf(packet) * PAGE_SIZE);
      const payload = await encoder.payload(pages);
      encoder.header(header, this.packet(packet, nextNumber), payload.length);
      if (payload !== pages) {
        await Promise.all([channel.write(header), channel.write(payload)]);
        return header.length + payload.length;
      }
      end += header.length + pages.length;
    }
    await channel.write(this.#bytes(0, end));
    return end;
  }

  #bytes(from: number, length: number): Uint8Array {
    return this.#context.kernel.bytes.subarray(this.#at + from, this.#at + from + length);
  }
}

interface GatheredMemory {
  readonly gathering: Gathering;
  /** Address of the work memory. */
  readonly work: number;
  readonly blocks: readonly { readonly ram: PagesInPlace; readonly pages: GuestPages }[];
}

/** What so many packets need of the work memory. */
function gatheredParts(most: number): { headers: number; heads: number; vector: number } {
  const pages = most * MULTIFD_PACKET_PAGES;
  return {
    headers: most * MULTIFD_HEADER_BYTES,
    heads: pages * HEAD_BYTES,
    // The header of each packet, and of each page its head and the rest of it.
    vector: (most + 2 * pages) * PLACE_BYTES,
  };
}

/**
 * Pages stay where they are until they are written. That is as good as when they were added: their bits in the dirty bitmap are clear,
 * and stores to a page make marks of its own, but for those to its head from the page before, which is copied.
 */
class GatheredPackets extends CountedPackets implements Packets {
  readonly #context: PacketContext;
  readonly #memory: GatheredMemory;
  readonly #headers: number;
  readonly #heads: number;
  readonly #vector: number;
  readonly #places: Uint32Array;
  readonly #list: GatherList;

  constructor(context: PacketContext, most: number, memory: GatheredMemory) {
    super();
    const { kernel } = context;
    const { headers, heads, vector } = gatheredParts(most);
    this.#context = context;
    this.#memory = memory;
    this.#headers = kernel.take(headers);
    this.#heads = kernel.take(heads);
    this.#vector = kernel.take(vector);
    this.#places = new Uint32Array(kernel.bytes.buffer);
    this.#list = new GatherList(kernel.bytes.subarray(this.#vector, this.#vector + vector));
  }

  add(block: number, page: number, count: number): number {
    const { ram, pages } = this.#memory.blocks[block]!;
    ram.reading(page, count);
    const before = this.pages % MULTIFD_PACKET_PAGES;
    const added = pages.gatherPages(
      page * PAGE_SIZE,
      count,
      page * PAGE_SIZE,
      this.#headers + this.present * MULTIFD_HEADER_BYTES + MULTIFD_OFFSETS_AT + before * WORD_BYTES,
      this.#heads + this.pages * HEAD_BYTES,
      this.#vector + (this.present + 1 + 2 * this.pages) * PLACE_BYTES,
    );
    this.pages += added;
    return count - added;
  }

  async send(nextNumber: () => number): Promise<number> {
    const { encoder, kernel } = this.#context;
    const { gathering, work } = this.#memory;
    for (let packet = 0; packet < this.length; packet++) {
      const at = this.#headers + packet * MULTIFD_HEADER_BYTES;
      const header = kernel.bytes.subarray(at, at + MULTIFD_HEADER_BYTES);
      encoder.header(header, this.packet(packet, nextNumber), this.pagesOf(packet) * PAGE_SIZE);
      const place = packet * (1 + 2 * MULTIFD_PACKET_PAGES);
      putPlace(this.#places, this.#vector / PLACE_BYTES + place, work + at, MULTIFD_HEADER_BYTES);
    }
    const bytes = this.length * MULTIFD_HEADER_BYTES + this.pages * PAGE_SIZE;
    this.#list.set(this.length + 2 * this.pages, bytes);
    await gathering.write(this.#list);
    return bytes;
  }
}
