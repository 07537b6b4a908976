import { MAX_IOVECS, Size } from "./abi.ts";
import { HostError } from "./errno.ts";
import type { GuestMemorySource } from "./host.ts";
import { WASI_LIMITS } from "./state.ts";

/** A range of guest memory that was checked to be inside of it. */
export interface GuestBuffer {
  readonly address: number;
  readonly length: number;
}

export interface GuestBuffers {
  readonly list: readonly GuestBuffer[];
  /** Sum of all lengths in bytes. */
  readonly total: number;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Guest memory as the host functions use it. Every access is checked against the present size and
 * throws EFAULT outside of it. Every write marks its pages dirty, after the bytes are there.
 * Addresses and lengths are unsigned.
 */
export class GuestMemory {
  readonly #source: GuestMemorySource;
  readonly #markDirty: (address: number, length: number) => void;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(source: GuestMemorySource, markDirty: (address: number, length: number) => void) {
    this.#source = source;
    this.#markDirty = markDirty;
    this.#bytes = new Uint8Array(source.buffer);
    this.#view = new DataView(source.buffer);
  }

  /** Throws EFAULT unless the whole range is guest memory. */
  check(address: number, length: number): void {
    const buffer = this.#source.buffer;
    // A shared buffer keeps its length when the memory grows: the memory hands out another object.
    if (buffer !== this.#bytes.buffer || buffer.byteLength !== this.#bytes.byteLength) {
      this.#bytes = new Uint8Array(buffer);
      this.#view = new DataView(buffer);
    }
    if (address + length > this.#bytes.byteLength) throw new HostError("EFAULT");
  }

  readU16(address: number): number {
    this.check(address, 2);
    return this.#view.getUint16(address, true);
  }

  readU8(address: number): number {
    this.check(address, 1);
    return this.#view.getUint8(address);
  }

  readU32(address: number): number {
    this.check(address, 4);
    return this.#view.getUint32(address, true);
  }

  readU64(address: number): bigint {
    this.check(address, 8);
    return this.#view.getBigUint64(address, true);
  }

  /** A private copy. */
  read(address: number, length: number): Uint8Array {
    this.check(address, length);
    return this.#bytes.slice(address, address + length);
  }

  /** Copies guest memory into private memory. */
  copyOut(address: number, target: Uint8Array): void {
    this.check(address, target.length);
    target.set(this.#bytes.subarray(address, address + target.length));
  }

  /** A path, which is strict UTF-8. Errors: ENAMETOOLONG, EILSEQ. */
  path(address: number, length: number): string {
    this.check(address, length);
    // Nothing is copied of what is too long: it may be all of the guest's memory.
    if (length > WASI_LIMITS.pathBytes) throw new HostError("ENAMETOOLONG");
    try {
      return decoder.decode(this.read(address, length));
    } catch (cause) {
      throw new HostError("EILSEQ", cause);
    }
  }

  writeU8(address: number, value: number): void {
    this.check(address, 1);
    this.#view.setUint8(address, value);
    this.#markDirty(address, 1);
  }

  writeU16(address: number, value: number): void {
    this.check(address, 2);
    this.#view.setUint16(address, value, true);
    this.#markDirty(address, 2);
  }

  writeU32(address: number, value: number): void {
    this.check(address, 4);
    this.#view.setUint32(address, value, true);
    this.#markDirty(address, 4);
  }

  writeU64(address: number, value: bigint): void {
    this.check(address, 8);
    this.#view.setBigUint64(address, value, true);
    this.#markDirty(address, 8);
  }

  write(address: number, bytes: Uint8Array): void {
    this.check(address, bytes.length);
    if (bytes.length === 0) return;
    this.#bytes.set(bytes, address);
    this.#markDirty(address, bytes.length);
  }

  /** Lets `fill` write straight into guest memory; it returns how many bytes it wrote from the start on. */
  writeWith(address: number, length: number, fill: (target: Uint8Array) => number): number {
    this.check(address, length);
    // When it throws, it may have written any of them.
    let written = length;
    try {
      written = fill(this.#bytes.subarray(address, address + length));
    } finally {
      if (written > 0) this.#markDirty(address, written);
    }
    return written;
  }

  /** A view for the host to read from during one call; never kept. */
  view(address: number, length: number): Uint8Array {
    this.check(address, length);
    return this.#bytes.subarray(address, address + length);
  }

  /** Reads and checks an array of iovecs. Errors: EINVAL for more than {@link MAX_IOVECS}, or 4 GiB and more in all. */
  buffers(address: number, count: number): GuestBuffers {
    if (count > MAX_IOVECS) throw new HostError("EINVAL");
    const list: GuestBuffer[] = [];
    let total = 0;
    for (let index = 0; index < count; index++) {
      const start = this.readU32(address + index * Size.iovec);
      const length = this.readU32(address + index * Size.iovec + 4);
      this.check(start, length);
      total += length;
      if (length > 0) list.push({ address: start, length });
    }
    if (total > 0xffff_ffff) throw new HostError("EINVAL");
    return { list, total };
  }

  /** Copies up to `limit` bytes from byte `from` of the buffers on into private memory. */
  gather(buffers: GuestBuffers, from: number, limit: number): Uint8Array {
    const result = new Uint8Array(Math.min(limit, buffers.total - from));
    let skip = from;
    let at = 0;
    for (const { address, length } of buffers.list) {
      if (at === result.length) break;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const take = Math.min(length - skip, result.length - at);
      this.copyOut(address + skip, result.subarray(at, at + take));
      at += take;
      skip = 0;
    }
    return result;
  }

  /** Writes `bytes`, at most `buffers.total`, over the buffers. */
  scatter(buffers: GuestBuffers, bytes: Uint8Array): void {
    let at = 0;
    for (const { address, length } of buffers.list) {
      if (at === bytes.length) return;
      const take = Math.min(length, bytes.length - at);
      this.write(address, bytes.subarray(at, at + take));
      at += take;
    }
  }
}
