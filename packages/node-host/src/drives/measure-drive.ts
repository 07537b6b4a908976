import fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { MigrationError } from "@peregrine/protocol";
import type { DriveOptions } from "./drive-options.ts";
import { statImage } from "./locked-file.ts";
import { checkOverlay, readHeader } from "./overlay.ts";

/** Most bytes of a drive: what is kept in memory for it is then 50 MiB. */
const MOST_BYTES = 16 * 2 ** 40;

export interface MeasuredDrive {
  /** With the links in its paths resolved, so that a file that replaces the image is where the image is. */
  readonly options: DriveOptions;
  /** Bytes. */
  readonly length: number;
}

export const imageName = ({ id, file, backing }: DriveOptions): string =>
  `The ${backing === undefined ? "image file" : "overlay"} '${file}' of drive '${id}'`;

export const backingName = ({ id, backing }: DriveOptions): string =>
  `The backing file '${backing}' of drive '${id}'`;

/** Looks at the files of a drive without changing anything. Errors: NO_SUCH_FILE, BAD_DRIVE. */
export function measureDrive(given: DriveOptions): MeasuredDrive {
  const options = { ...given, file: resolveLinks(given.file) };
  const { backing, id } = options;
  const length = backing === undefined ? measureImage(options) : measureOverlay(options, backing);
  if (length === 0)
    throw new MigrationError(
      "BAD_DRIVE",
      `Drive '${id}' has no bytes; make its file as large as the drive is to be`,
    );
  if (length > MOST_BYTES)
    throw new MigrationError(
      "BAD_DRIVE",
      `Drive '${id}' has ${length} bytes, and ${MOST_BYTES} are the most`,
    );
  return { options, length };
}

function measureImage(options: DriveOptions): number {
  const { size } = statImage(options.file, imageName(options));
  const header = withFile(options.file, readHeader);
  if (header === undefined || header === "blank") return size;
  throw new MigrationError("BAD_DRIVE", `${imageName(options)} is an overlay; add backing=${header.backing}`);
}

/** An overlay may still be missing. */
function measureOverlay(options: DriveOptions, backing: string): number {
  const length = statImage(backing, backingName(options)).size;
  if (!fs.existsSync(options.file)) return length;
  statImage(options.file, imageName(options));
  withFile(options.file, (fd) => checkOverlay(fd, options.file, { length, backing }));
  return length;
}

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = fs.openSync(path, "r");
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function resolveLinks(path: string): string {
  if (fs.existsSync(path)) return fs.realpathSync(path);
  const directory = dirname(path);
  return fs.existsSync(directory) ? join(fs.realpathSync(directory), basename(path)) : path;
}
