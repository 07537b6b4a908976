import {
  MULTIFD_HEADER_BYTES,
  MULTIFD_PACKET_PAGES,
  PLACE_BYTES,
  putPlace,
  WIRE_PAGE_SIZE,
} from "@peregrine/protocol";
import type { AwaitedPages, PageKernel } from "@peregrine/protocol";
import type { PagesInPlace } from "@peregrine/shared-state";
import type { Scattering } from "@peregrine/transport";

/** What a kernel's work memory needs for {@link PacketPages}: a place for each run of a packet, and one for the next header. */
export const PACKET_PARTS = {
  vector: (MULTIFD_PACKET_PAGES + 1) * PLACE_BYTES,
  header: MULTIFD_HEADER_BYTES,
} as const;

/** How long the thread may wait for what comes next and do nothing else, milliseconds. See `ExpectedPages`. */
const PATIENCE_MS = 5;

/** What came where the pages of a packet were awaited. */
export interface ReadPages {
  /** Bytes of the pages, which lie where they belong. */
  readonly bytes: number;
  /** What came behind the last of them: of the next header, and no more than that. Valid until more is read. */
  readonly rest: Uint8Array;
}

/** Reads the pages of packets from a connection to where they belong in the guest's memory, together with the header behind them. */
export class PacketPages {
  readonly #kernel: PageKernel;
  readonly #scattering: Scattering;
  readonly #vector: number;
  readonly #header: number;
  readonly #places: Uint32Array;
  /** Where the work memory begins, and the memory of a guest. */
  readonly #work: number;
  readonly #guests = new Map<PagesInPlace, number>();

  /** @param kernel whose work memory has {@link PACKET_PARTS} left. */
  constructor(kernel: PageKernel, scattering: Scattering) {
    this.#kernel = kernel;
    this.#scattering = scattering;
    this.#vector = kernel.take(PACKET_PARTS.vector);
    this.#header = kernel.take(PACKET_PARTS.header);
    this.#places = new Uint32Array(kernel.bytes.buffer);
    this.#work = scattering.addressOf(kernel.bytes);
  }

  /** Bytes that the next chunk has at most. */
  boundNext(bytes: number): void {
    this.#scattering.boundNext(bytes);
  }

  /** Reads what has come, or comes soon. Errors: BAD_RAM_PAGE for pages that are not in the memory. */
  read(ram: PagesInPlace, { runs, had }: AwaitedPages): ReadPages {
    for (const { offset, pages } of runs) ram.writing(offset, pages);
    const guest = this.#addressOf(ram);
    const first = this.#vector / PLACE_BYTES;
    let there = had;
    let awaited = 0;
    for (const [n, { offset, pages }] of runs.entries()) {
      const length = pages * WIRE_PAGE_SIZE - there;
      putPlace(this.#places, first + n, guest + offset + there, length);
      awaited += length;
      there = 0;
    }
    const { bytes: work } = this.#kernel;
    putPlace(this.#places, first + runs.length, this.#work + this.#header, MULTIFD_HEADER_BYTES);
    const end = this.#vector + (runs.length + 1) * PLACE_BYTES;
    const came = this.#scattering.read(work.subarray(this.#vector, end), PATIENCE_MS);
    const bytes = Math.min(came, awaited);
    return { bytes, rest: work.subarray(this.#header, this.#header + came - bytes) };
  }

  /** Memory does not move when it grows. */
  #addressOf(ram: PagesInPlace): number {
    let address = this.#guests.get(ram);
    if (address === undefined) {
      address = this.#scattering.addressOf(new Uint8Array(ram.memory.buffer));
      this.#guests.set(ram, address);
    }
    return address;
  }
}

/** Puts bytes of the first awaited page where they belong, of which some are there. @returns how many these were. */
export function completePage(ram: PagesInPlace, { runs, had }: AwaitedPages, bytes: Uint8Array): number {
  const [first] = runs;
  if (first === undefined || had === 0) return 0;
  const rest = bytes.subarray(0, WIRE_PAGE_SIZE - had);
  new Uint8Array(ram.memory.buffer).set(rest, first.offset + had);
  return rest.length;
}
