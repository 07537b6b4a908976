import { createCipheriv } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { records } from "./record-content.ts";

/** The transports that are measured. */
export type Transport = "tcp" | "unix";

/** What a guest's memory holds; it stands still while it is copied. */
export interface Content {
  /** MiB of it. */
  readonly mib: number;
  /** A file with as many bytes or more, for both kinds of guest. */
  readonly path: string;
}

/** Bytes that nothing can compress; zeros; records that zstd makes a quarter of. */
export type ContentKind = "random" | "zero" | "records";

const MIB = 1 << 20;

/** Writes a file into a directory that is the same in every run. */
export function writeContent(directory: string, mib: number, kind: ContentKind): Content {
  const path = join(directory, `${kind}-${mib}`);
  const fd = openSync(path, "w");
  try {
    const next = pieces(kind);
    for (let n = 0; n < mib; n++) writeSync(fd, next());
  } finally {
    closeSync(fd);
  }
  return { mib, path };
}

/** Gives a MiB with each call. */
function pieces(kind: ContentKind): () => Buffer {
  const zeros = Buffer.alloc(MIB);
  if (kind === "zero") return () => zeros;
  if (kind === "random") {
    const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16, 2));
    return () => cipher.update(zeros);
  }
  const bytes = records();
  let at = 0;
  return () => {
    const piece = bytes.subarray(at, at + MIB);
    at = (at + MIB) % bytes.length;
    return piece;
  };
}

/** What moving a guest took. */
export interface Copy {
  /** From the command until the guest was told to run at the destination, seconds. */
  readonly seconds: number;
  /** As the source says it, milliseconds. */
  readonly totalTime: number;
  /** As the source says it, milliseconds. */
  readonly downtime: number;
  /** Of both processes from the command on, until the source has completed and the guest runs. */
  readonly processorSeconds: number;
}
