import { createCipheriv } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

/** The transports that are measured. */
export type Transport = "tcp" | "unix";

/** What a guest's memory holds; it stands still while it is copied. */
export interface Content {
  /** MiB of it. */
  readonly mib: number;
  /** A file with as many bytes, for both kinds of guest. */
  readonly path: string;
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

const MIB = 1 << 20;

export type ContentKind = "random" | "zero";

/** Writes a file that is the same in every run: zeros, or bytes that nothing can compress. */
export function writeContent(path: string, mib: number, kind: ContentKind): Content {
  const zeros = Buffer.alloc(MIB);
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const fd = openSync(path, "w");
  try {
    for (let n = 0; n < mib; n++) writeSync(fd, kind === "zero" ? zeros : cipher.update(zeros));
  } finally {
    closeSync(fd);
  }
  return { mib, path };
}
