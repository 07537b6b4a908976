import fs from "node:fs";
import { basename } from "node:path";
import { MigrationError } from "@peregrine/protocol/errors";
import { CLUSTER_BYTES } from "./cluster-map.ts";
import { readAll, writeAll } from "./file-io.ts";

/** What the last bytes of an overlay say. */
export interface OverlayHeader {
  /** Bytes of the drive. */
  readonly length: number;
  /** Path of the backing file when the overlay was made. */
  readonly backing: string;
}

/** Where the parts of an overlay are, in bytes. */
export interface OverlayLayout {
  readonly mapAt: number;
  readonly headerAt: number;
  readonly fileBytes: number;
}

const HEADER_BYTES = 4096;
const MAP_ALIGNMENT = 4096;
const FORMAT = "peregrine-overlay-1";

/**
 * An overlay is one file, so that it is replaced as a whole: the drive's bytes at their own places, with holes where the
 * backing file has them; behind them the map of clusters; the header last.
 */
export function overlayLayout(length: number): OverlayLayout {
  const clusters = Math.ceil(length / CLUSTER_BYTES);
  const mapAt = clusters * CLUSTER_BYTES;
  const headerAt = mapAt + Math.ceil(clusters / 8 / MAP_ALIGNMENT) * MAP_ALIGNMENT;
  return { mapAt, headerAt, fileBytes: headerAt + HEADER_BYTES };
}

/** Makes a file of the right size an overlay. What its map has before is kept: all zeros in a new file. */
export function writeHeader(fd: number, { length, backing }: OverlayHeader): void {
  const text = JSON.stringify({ format: FORMAT, length, cluster: CLUSTER_BYTES, backing });
  const bytes = Buffer.from(text.padEnd(HEADER_BYTES - Buffer.byteLength(text) + text.length - 1) + "\n");
  if (bytes.length > HEADER_BYTES)
    throw new MigrationError(
      "BAD_DRIVE",
      `The path of the backing file '${backing}' is too long for an overlay`,
    );
  writeAll(fd, bytes, overlayLayout(length).headerAt);
}

/**
 * The header of an open file. `blank`: the file has nothing there, as when it was made and not finished. Undefined: it
 * is no overlay.
 */
export function readHeader(fd: number): OverlayHeader | "blank" | undefined {
  const { size } = fs.fstatSync(fd);
  if (size === 0) return "blank";
  if (size < HEADER_BYTES) return undefined;
  const bytes = Buffer.alloc(HEADER_BYTES);
  readAll(fd, bytes, size - HEADER_BYTES);
  if (bytes.every((byte) => byte === 0)) return "blank";
  if (!bytes.subarray(0, FORMAT.length + 16).includes(FORMAT)) return undefined;
  try {
    const { length, cluster, backing } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const fits = typeof length === "number" && cluster === CLUSTER_BYTES && typeof backing === "string";
    return fits ? { length, backing } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Checks that an open file is the overlay of a backing file, by its size, its length and the backing file's name: the
 * directory may be another one on another host.
 * @returns false when it still has to be made one.
 * Errors: BAD_DRIVE.
 */
export function checkOverlay(fd: number, path: string, wanted: OverlayHeader): boolean {
  const { fileBytes } = overlayLayout(wanted.length);
  const { size } = fs.fstatSync(fd);
  const header = readHeader(fd);
  if (header === "blank" && (size === 0 || size === fileBytes)) return false;
  if (header === undefined || header === "blank") {
    throw bad(
      `'${path}' is no overlay of '${wanted.backing}'; name a new file, or leave out backing= if it is the whole image`,
    );
  }
  if (basename(header.backing) !== basename(wanted.backing))
    throw bad(`'${path}' is an overlay of '${header.backing}', not of '${wanted.backing}'`);
  if (header.length !== wanted.length) {
    throw bad(
      `'${path}' is an overlay of a file of ${header.length} bytes, and '${wanted.backing}' has ${wanted.length}: it is not the file that it was made of`,
    );
  }
  if (size !== fileBytes)
    throw bad(`The overlay '${path}' has ${size} bytes instead of ${fileBytes}: it is damaged`);
  return true;
}

const bad = (message: string): MigrationError => new MigrationError("BAD_DRIVE", message);
