import { limitExceeded, MigrationError } from "@peregrine/protocol";

/**
 * What libvirt writes in front of a stream with `virsh save` and `virsh managedsave`: a header of fixed length in the
 * byte order of the host, then the domain's XML with a NUL, for some a cookie, and padding.
 */

/** `LibvirtQemudSave`, and what stands in its place until the image is complete. */
export const LIBVIRT_MAGIC_BYTES = 16;
const COMPLETE = "LibvirtQemudSave";
const PARTIAL = "LibvirtQemudPart";
/** Magic, five numbers that are used, and fourteen that are not. */
export const LIBVIRT_HEADER_BYTES = LIBVIRT_MAGIC_BYTES + 19 * 4;
const LAST_VERSION = 2;
/** Bytes of XML and cookie. Those of large domains have some 100 KiB. */
const MOST_DATA_BYTES = 16 * 1024 * 1024;

/** How what follows is packed, by the number in the header. `sparse` is a mapped-ram stream. */
const FORMATS = ["raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse"] as const;
export type LibvirtFormat = (typeof FORMATS)[number];

interface LibvirtHeader {
  /** False: libvirt had not finished it. */
  readonly complete: boolean;
  readonly version: number;
  readonly wasRunning: boolean;
  readonly format: LibvirtFormat;
  /** Bytes of XML, cookie and padding, which follow the header. */
  readonly dataBytes: number;
  /** Where the cookie begins in them; 0: there is none. */
  readonly cookieOffset: number;
}

/** What is known of the domain in a save image. */
export interface LibvirtImage extends Omit<LibvirtHeader, "dataBytes" | "cookieOffset"> {
  readonly item: "libvirt";
  /** Offset in the file of the stream's first byte, as it lies there. */
  readonly streamOffset: number;
  readonly domain?: string;
  readonly uuid?: string;
  readonly hasCookie: boolean;
}

/** @param head the first bytes of the file. */
export function isLibvirtImage(head: Uint8Array): boolean {
  const magic = latin1(head.subarray(0, LIBVIRT_MAGIC_BYTES));
  return magic === COMPLETE || magic === PARTIAL;
}

/**
 * Reads the header of an image that {@link isLibvirtImage}.
 * Errors: TRUNCATED, UNSUPPORTED_VERSION, LIMIT_EXCEEDED, BAD_SECTION for a format that is not known.
 */
export function decodeLibvirtHeader(head: Uint8Array): LibvirtHeader {
  if (head.length < LIBVIRT_HEADER_BYTES) throw ended("its header");
  const view = new DataView(head.buffer, head.byteOffset + LIBVIRT_MAGIC_BYTES);
  // A version is small, so the wrong order shows.
  const littleEndian = view.getUint32(0, true) <= view.getUint32(0, false);
  const [version, dataBytes, wasRunning, format, cookieOffset] = [0, 4, 8, 12, 16].map((at) =>
    view.getUint32(at, littleEndian),
  ) as [number, number, number, number, number];
  if (version === 0 || version > LAST_VERSION) {
    throw new MigrationError(
      "UNSUPPORTED_VERSION",
      `The libvirt save image has version ${version}; versions 1 and ${LAST_VERSION} can be read`,
    );
  }
  if (dataBytes > MOST_DATA_BYTES) {
    throw limitExceeded("bytes of domain XML", dataBytes, MOST_DATA_BYTES);
  }
  const name = FORMATS[format];
  if (name === undefined) {
    throw new MigrationError("BAD_SECTION", `The libvirt save image has the unknown format ${format}`);
  }
  const complete = latin1(head.subarray(0, LIBVIRT_MAGIC_BYTES)) === COMPLETE;
  return { complete, version, wasRunning: wasRunning !== 0, format: name, dataBytes, cookieOffset };
}

/** @param data what follows the header, as long as it says. Errors: TRUNCATED. */
export function describeLibvirtImage(header: LibvirtHeader, data: Uint8Array): LibvirtImage {
  const { dataBytes, cookieOffset, ...rest } = header;
  if (data.length < dataBytes) throw ended("the domain's XML");
  const nul = data.indexOf(0);
  const xml = new TextDecoder().decode(nul < 0 ? data : data.subarray(0, nul));
  const domain = element(xml, "name");
  const uuid = element(xml, "uuid");
  return {
    item: "libvirt",
    ...rest,
    streamOffset: LIBVIRT_HEADER_BYTES + dataBytes,
    ...(domain === undefined ? {} : { domain }),
    ...(uuid === undefined ? {} : { uuid }),
    hasCookie: cookieOffset !== 0,
  };
}

/** The text of the first element with this name: those looked for come before any that could be mistaken for them. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`, "u").exec(xml)?.[1];
  return text?.replace(/&(lt|gt|quot|apos|amp);/gu, (_, entity: keyof typeof ENTITIES) => ENTITIES[entity]);
}

const ENTITIES = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" } as const;

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function ended(where: string): MigrationError {
  return new MigrationError("TRUNCATED", `The libvirt save image ends in ${where}`);
}
