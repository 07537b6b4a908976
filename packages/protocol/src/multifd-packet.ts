import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import { limitExceeded, unsupportedVersion } from "./refusals.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import { WORD_BYTES } from "./kernels/page-kernel.ts";
import { countPages } from "./page-run.ts";
import type { PageRun } from "./page-run.ts";
import { UUID_BYTES, WIRE_PAGE_SIZE } from "./wire.ts";

/**
 * Multifd: guest pages on channels of their own, beside the main stream. A channel begins with an init
 * message; packets follow, each a header and then the pages it names, raw or compressed.
 */

export const MULTIFD_MAGIC = 0x11223344;
const MULTIFD_VERSION = 1;

/** Bytes of the init message. */
export const MULTIFD_INIT_BYTES = 64;
const INIT_PADDING_BYTES = MULTIFD_INIT_BYTES - (4 + 4 + UUID_BYTES + 1);

/** The most pages of a packet: 512 KiB. The header has a slot for each, used or not. */
export const MULTIFD_PACKET_PAGES = 128;

/** Magic, version and flags: what both kinds of header begin with. */
export const MULTIFD_HEAD_BYTES = 12;
const NAME_BYTES = 256;
const NAME_AT = 64;
/** Where in the header of a packet of pages their offsets are, one behind the other, then those of pages that are zero. */
export const MULTIFD_OFFSETS_AT = NAME_AT + NAME_BYTES;
/** Bytes of the header of a packet of pages behind magic, version and flags. */
export const MULTIFD_PAGES_BODY_BYTES =
  MULTIFD_OFFSETS_AT + WORD_BYTES * MULTIFD_PACKET_PAGES - MULTIFD_HEAD_BYTES;
/** The most bytes of the whole header of a packet of pages. */
export const MULTIFD_HEADER_BYTES = MULTIFD_HEAD_BYTES + MULTIFD_PAGES_BODY_BYTES;
/** Bytes of the header of a packet of device state behind magic, version and flags. */
export const MULTIFD_DEVICE_BODY_BYTES = NAME_BYTES + 4 + 4;

/** The most that the pages of a packet may take on the wire. Compression that works makes less of them. */
const MULTIFD_MAX_PAYLOAD_BYTES = 2 * MULTIFD_PACKET_PAGES * WIRE_PAGE_SIZE;

const FLAG = { sync: 1, zlib: 2, zstd: 4, qpl: 8, uadk: 16, qatzip: 32, deviceState: 64 } as const;
const COMPRESSION_MASK = FLAG.zlib | FLAG.zstd | FLAG.qpl | FLAG.uadk | FLAG.qatzip;

/** How pages are compressed on multifd channels. */
export type MultifdCompression = "none" | "zlib" | "zstd";

/**
 * How a header is laid out: as releases 5.0 to 8.2 do, which send zero pages on the main stream, or as
 * 9.0 and later, which can name them in the packet. A receiver need not know: the count of zero
 * pages is where the older layout has zeros.
 */
export type MultifdLayout = "5.0" | "9.0";

/** The first message of a channel. */
export interface MultifdInit {
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  readonly channel: number;
}

/** What the header of a packet of pages says beside their offsets. */
export interface MultifdHeader {
  /** Whether the receiver waits for all channels behind this packet. */
  readonly sync: boolean;
  readonly compression: MultifdCompression;
  readonly packetNumber: number;
  /** Name of the RAM block that all pages are in; empty when there are none. */
  readonly block: string;
  /** Pages whose bytes follow. */
  readonly pages: number;
  /** Pages that are zero. */
  readonly zeroPages: number;
  /** Bytes that follow the header. Always 0 when no page's bytes follow. */
  readonly payloadBytes: number;
}

/** The header of a packet of pages. */
export interface MultifdPages {
  readonly kind: "pages";
  /** Whether the receiver waits for all channels behind this packet. */
  readonly sync: boolean;
  readonly compression: MultifdCompression;
  readonly packetNumber: number;
  /** Name of the RAM block that all pages are in; empty when there are none. */
  readonly block: string;
  /** Pages whose bytes follow, in their order. */
  readonly runs: readonly PageRun[];
  /** Pages that are zero. */
  readonly zeroRuns: readonly PageRun[];
  /** Bytes that follow the header. Always 0 when no page's bytes follow. */
  readonly payloadBytes: number;
}

/** The header of a packet of device state, as 10.0 and later send. */
export interface MultifdDeviceState {
  readonly kind: "device-state";
  readonly name: string;
  readonly instance: number;
  readonly payloadBytes: number;
}

/** The 64 bytes that a channel begins with. Errors: INTERNAL for a UUID of another length than 16. */
export function encodeMultifdInit(w: ByteWriter, { uuid, channel }: MultifdInit): void {
  if (uuid.length !== UUID_BYTES) {
    throw new MigrationError("INTERNAL", `a UUID has ${UUID_BYTES} bytes, not ${uuid.length}`);
  }
  w.be32(MULTIFD_MAGIC);
  w.be32(MULTIFD_VERSION);
  w.bytes(uuid);
  w.u8(channel);
  w.bytes(new Uint8Array(INIT_PADDING_BYTES));
}

/**
 * Reads the init message; {@link MULTIFD_INIT_BYTES} are on hand.
 * Errors: NOT_A_STREAM, UNSUPPORTED_VERSION.
 */
export function decodeMultifdInit(input: ByteReader): MultifdInit {
  requireMagic(input);
  const uuid = new Uint8Array(input.view(UUID_BYTES));
  const channel = input.u8();
  input.view(INIT_PADDING_BYTES);
  return { uuid, channel };
}

/** Writes the header of a packet of pages. `payloadBytes` follow it. */
export function encodeMultifdPages(w: ByteWriter, layout: MultifdLayout, packet: MultifdPages): void {
  const pages = countPages(packet.runs);
  const zeroPages = countPages(packet.zeroRuns);
  const bytes = new Uint8Array(
    MULTIFD_OFFSETS_AT + WORD_BYTES * Math.max(pages + zeroPages, MULTIFD_PACKET_PAGES),
  );
  const view = new DataView(bytes.buffer);
  let at = MULTIFD_OFFSETS_AT;
  for (const run of [...packet.runs, ...packet.zeroRuns]) {
    for (let page = 0; page < run.pages; page++, at += WORD_BYTES)
      view.setBigUint64(at, BigInt(run.offset + page * WIRE_PAGE_SIZE));
  }
  putMultifdHeader(bytes, layout, { ...packet, pages, zeroPages });
  w.bytes(bytes);
}

/**
 * Writes the header of a packet of pages around their offsets, which are there already, at {@link MULTIFD_OFFSETS_AT}.
 * @param bytes of the whole header.
 */
export function putMultifdHeader(bytes: Uint8Array, layout: MultifdLayout, header: MultifdHeader): void {
  const { pages, zeroPages, compression } = header;
  const named = pages + zeroPages;
  if (named > MULTIFD_PACKET_PAGES) {
    throw new MigrationError("INTERNAL", `a packet holds ${MULTIFD_PACKET_PAGES} pages, not ${named}`);
  }
  if (layout === "5.0" && zeroPages > 0) {
    throw new MigrationError("INTERNAL", "this layout of multifd packets has no place for zero pages");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, MULTIFD_HEADER_BYTES);
  view.setUint32(0, MULTIFD_MAGIC);
  view.setUint32(4, MULTIFD_VERSION);
  view.setUint32(8, (header.sync ? FLAG.sync : 0) | (compression === "none" ? 0 : FLAG[compression]));
  view.setUint32(12, layout === "5.0" || named > 0 ? MULTIFD_PACKET_PAGES : 0);
  view.setUint32(16, pages);
  view.setUint32(20, header.payloadBytes);
  view.setBigUint64(24, BigInt(header.packetNumber));
  view.setUint32(32, zeroPages);
  bytes.fill(0, 36, NAME_AT);
  putFixedName(bytes.subarray(NAME_AT, MULTIFD_OFFSETS_AT), header.block);
  bytes.fill(0, MULTIFD_OFFSETS_AT + WORD_BYTES * named, MULTIFD_HEADER_BYTES);
}

/** Writes the header of a packet of device state. `payloadBytes` follow it. */
export function encodeMultifdDeviceState(w: ByteWriter, packet: MultifdDeviceState): void {
  w.be32(MULTIFD_MAGIC);
  w.be32(MULTIFD_VERSION);
  w.be32(FLAG.deviceState);
  const name = new Uint8Array(NAME_BYTES);
  putFixedName(name, packet.name);
  w.bytes(name);
  w.be32(packet.instance);
  w.be32(packet.payloadBytes);
}

/** What the first bytes of a packet say. */
export interface MultifdHead {
  readonly kind: "pages" | "device-state";
  readonly flags: number;
}

/**
 * Reads magic, version and flags; {@link MULTIFD_HEAD_BYTES} are on hand.
 * Errors: BAD_PACKET, NOT_A_STREAM, UNSUPPORTED_VERSION.
 */
export function decodeMultifdHead(input: ByteReader): MultifdHead {
  requireMagic(input);
  const flags = input.be32();
  if ((flags & ~(FLAG.sync | COMPRESSION_MASK | FLAG.deviceState)) !== 0) {
    throw badPacket(`its flags 0x${flags.toString(16)} are unknown`);
  }
  return { kind: (flags & FLAG.deviceState) === 0 ? "pages" : "device-state", flags };
}

/** Counts the words in front of `bytes` that are the offset `offset` and those of the pages that follow it. */
export type CountOffsets = (bytes: Uint8Array, offset: number) => number;

/**
 * Reads the rest of the header of a packet of pages; {@link MULTIFD_PAGES_BODY_BYTES} are on hand.
 * Offsets are checked to be those of pages, not to be in the block.
 *
 * Errors: BAD_PACKET, LIMIT_EXCEEDED.
 */
export function decodeMultifdPages(
  input: ByteReader,
  flags: number,
  countOffsets: CountOffsets,
): MultifdPages {
  const allocated = input.be32();
  const normal = input.be32();
  const payload = input.be32();
  const packetNumber = input.be64();
  const zero = input.be32();
  input.view(4 + 3 * 8);
  const name = input.view(NAME_BYTES);
  const pages = normal + zero;
  if (allocated > MULTIFD_PACKET_PAGES) {
    throw limitExceeded("page slots of a multifd packet", allocated, MULTIFD_PACKET_PAGES);
  }
  if (pages > allocated) throw badPacket(`it names ${pages} pages and has room for ${allocated}`);
  // What a packet without pages has as its name, offsets and size is left from an earlier one.
  const block = pages === 0 ? "" : decodeName(name);
  const runs = readRuns(input, normal, countOffsets);
  const zeroRuns = readRuns(input, zero, countOffsets);
  input.view(WORD_BYTES * (MULTIFD_PACKET_PAGES - pages));
  const compression = compressionOf(flags);
  const payloadBytes = normal === 0 ? 0 : compression === "none" ? normal * WIRE_PAGE_SIZE : payload;
  if (payloadBytes > MULTIFD_MAX_PAYLOAD_BYTES) {
    throw limitExceeded("bytes of pages in a multifd packet", payloadBytes, MULTIFD_MAX_PAYLOAD_BYTES);
  }
  return {
    kind: "pages",
    sync: (flags & FLAG.sync) !== 0,
    compression,
    packetNumber,
    block,
    runs,
    zeroRuns,
    payloadBytes,
  };
}

/**
 * Reads the rest of the header of a packet of device state; {@link MULTIFD_DEVICE_BODY_BYTES} are on hand.
 * Errors: BAD_PACKET.
 */
export function decodeMultifdDeviceState(input: ByteReader, flags: number): MultifdDeviceState {
  if (flags !== FLAG.deviceState) throw badPacket(`flags 0x${flags.toString(16)} do not go together`);
  const name = decodeName(input.view(NAME_BYTES));
  return { kind: "device-state", name, instance: input.be32(), payloadBytes: input.be32() };
}

function requireMagic(input: ByteReader): void {
  const magic = input.be32();
  if (magic !== MULTIFD_MAGIC) {
    const text = `A multifd channel has the magic 0x${magic.toString(16)} where 0x${MULTIFD_MAGIC.toString(16)} belongs`;
    throw new MigrationError("NOT_A_STREAM", text);
  }
  const version = input.be32();
  if (version !== MULTIFD_VERSION) throw unsupportedVersion(version);
}

function compressionOf(flags: number): MultifdCompression {
  const bits = flags & COMPRESSION_MASK;
  switch (bits) {
    case 0:
      return "none";
    case FLAG.zlib:
      return "zlib";
    case FLAG.zstd:
      return "zstd";
    default:
      throw badPacket(`its compression 0x${bits.toString(16)} is not known here; use none, zlib or zstd`);
  }
}

/** Most packets are of pages that follow each other, so nothing is done for each of them. */
function readRuns(input: ByteReader, count: number, countOffsets: CountOffsets): PageRun[] {
  const runs: PageRun[] = [];
  for (let left = count; left > 0;) {
    const bytes = input.peek(WORD_BYTES * left);
    const offset = input.be64();
    if (offset % WIRE_PAGE_SIZE !== 0)
      throw badPacket(`0x${offset.toString(16)} is not the offset of a page`);
    const pages = Math.max(countOffsets(bytes, offset), 1);
    input.view(WORD_BYTES * (pages - 1));
    runs.push({ offset, pages });
    left -= pages;
  }
  return runs;
}

function decodeName(bytes: Uint8Array): string {
  const length = bytes.indexOf(0);
  if (length < 0) throw badPacket("its name has no end");
  return decodeUtf8(bytes.subarray(0, length), "A name in a multifd packet");
}

function putFixedName(bytes: Uint8Array, name: string): void {
  const encoded = encodeUtf8(name);
  if (encoded.length >= NAME_BYTES) {
    throw new MigrationError("INTERNAL", `the name '${name}' is longer than the 255 bytes that fit`);
  }
  bytes.set(encoded);
  bytes.fill(0, encoded.length);
}

function badPacket(why: string): MigrationError {
  return new MigrationError("BAD_PACKET", `A multifd packet cannot be accepted: ${why}`);
}
