import { MigrationError, MULTIFD_MAGIC, STREAM_MAGIC } from "@peregrine/protocol";
import {
  decodeLibvirtHeader,
  describeLibvirtImage,
  isLibvirtImage,
  LIBVIRT_HEADER_BYTES,
  LIBVIRT_MAGIC_BYTES,
} from "../libvirt-image.ts";
import type { LibvirtFormat, LibvirtImage } from "../libvirt-image.ts";
import { LookAhead } from "../look-ahead.ts";
import { openByteSource } from "./byte-source.ts";
import type { ByteSource } from "./byte-source.ts";
import { compressionOf, decompressed } from "./decompress.ts";
import type { FileCompression } from "./decompress.ts";

/** A stream or a channel in a file, behind whatever it was packed in. */
export interface StreamFile {
  readonly name: string;
  readonly form: "main" | "channel";
  readonly repeatable: boolean;
  readonly compression?: FileCompression;
  readonly libvirt?: LibvirtImage;
  /** Offset in the file of the stream's first byte. */
  readonly fileOffset: number;
  /** To be read once. Each chunk is valid until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** The files of one migration. */
export interface StreamFiles {
  readonly main: StreamFile;
  /** Multifd channels, in any order. */
  readonly channels: readonly StreamFile[];
  close(): Promise<void>;
}

/**
 * Opens the files of one migration in any order; their first bytes tell what they are.
 * @param paths at least one; `-` is the standard input.
 * @param openSource opens one of them. Default: {@link openByteSource}.
 * Errors: NO_SUCH_FILE, NOT_A_STREAM, BAD_PARAMETER, and those of a libvirt header.
 */
export async function openStreamFiles(
  paths: readonly string[],
  openSource: (path: string) => Promise<ByteSource> = openByteSource,
): Promise<StreamFiles> {
  const opened: StreamFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    for (const path of paths) opened.push(await openStreamFile(await openSource(path)));
    return { ...arrange(opened), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Finds out what a source holds; closes it if that cannot be read. */
async function openStreamFile(source: ByteSource): Promise<StreamFile> {
  try {
    return await recognise(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

function arrange(files: readonly StreamFile[]): Omit<StreamFiles, "close"> {
  const [main, second] = files.filter(({ form }) => form === "main");
  if (main === undefined) {
    throw new MigrationError(
      "NOT_A_STREAM",
      `${files[0]!.name} is a multifd channel; name the main stream of the migration with it`,
    );
  }
  if (second !== undefined) {
    throw new MigrationError(
      "BAD_PARAMETER",
      `${main.name} and ${second.name} are main streams of two migrations; compare them with --diff`,
    );
  }
  return { main, channels: files.filter(({ form }) => form === "channel") };
}

async function recognise(source: ByteSource): Promise<StreamFile> {
  const { name, repeatable } = source;
  const close = (): Promise<void> => source.close();
  let ahead = new LookAhead(source.chunks);
  const compression = compressionOf(await ahead.peek(4));
  if (compression !== undefined) ahead = new LookAhead(decompressed(ahead.rest(), compression));
  const common = { name, repeatable, ...(compression === undefined ? {} : { compression }), close };
  if (isLibvirtImage(await ahead.peek(LIBVIRT_MAGIC_BYTES))) {
    const libvirt = await readLibvirtImage(ahead);
    const chunks = unpacked(ahead, libvirt);
    return { ...common, form: "main", libvirt, fileOffset: libvirt.streamOffset, chunks };
  }
  return { ...common, form: await formOf(ahead, name), fileOffset: 0, chunks: ahead.rest() };
}

async function formOf(ahead: LookAhead, name: string): Promise<StreamFile["form"]> {
  const head = await ahead.peek(4);
  // One that ends here is refused with what was expected.
  if (head.length < 4) return "main";
  const magic = new DataView(head.buffer, head.byteOffset).getUint32(0);
  if (magic === STREAM_MAGIC) return "main";
  if (magic === MULTIFD_MAGIC) return "channel";
  throw new MigrationError(
    "NOT_A_STREAM",
    `Not a migration stream: ${name} begins with 0x${magic.toString(16).padStart(8, "0")}`,
  );
}

async function readLibvirtImage(ahead: LookAhead): Promise<LibvirtImage> {
  const header = decodeLibvirtHeader(await ahead.peek(LIBVIRT_HEADER_BYTES));
  ahead.skip(LIBVIRT_HEADER_BYTES);
  const image = describeLibvirtImage(header, await ahead.peek(header.dataBytes));
  ahead.skip(header.dataBytes);
  return image;
}

/** How a save image is unpacked by a person, where it cannot be done here. */
const UNPACKERS: Partial<Record<LibvirtFormat, string>> = {
  bzip2: "bzip2 -dc",
  xz: "xz -dc",
  lzop: "lzop -dc",
};

async function* unpacked(
  ahead: LookAhead,
  { format, streamOffset }: LibvirtImage,
): AsyncGenerator<Uint8Array> {
  if (format === "gzip" || format === "zstd") return yield* decompressed(ahead.rest(), format);
  const unpacker = UNPACKERS[format];
  if (unpacker === undefined) return yield* ahead.rest();
  throw new MigrationError(
    "NOT_A_STREAM",
    `The libvirt save image is packed with ${format}, which cannot be undone here; unpack it: ` +
      `tail -c +${streamOffset + 1} FILE | ${unpacker} | peregrine inspect -`,
  );
}
