import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";

const PAGE_BYTES = 4096;

let possible: boolean | undefined;

/** A file system of its own, with little room. */
export class SmallDisk {
  readonly path: string;
  readonly #bytes: number;
  readonly #unmount: () => void;

  /** Whether this process may have some. */
  static get possible(): boolean {
    possible ??= tryMount();
    return possible;
  }

  /** @param path of a directory that does not exist. */
  constructor(path: string, room: number) {
    this.path = path;
    mkdirSync(path);
    // What its directory takes besides what is in it.
    this.#bytes = Math.ceil(room / PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES;
    execFileSync("mount", ["-t", "tmpfs", "-o", `mode=0700,size=${this.#bytes}`, "tmpfs", path], {
      stdio: "pipe",
    });
    this.#unmount = atExit(() => execFileSync("umount", ["--lazy", path]));
  }

  /** Nothing more can be written there. */
  fill(): void {
    try {
      writeFileSync(this.#ballast, Buffer.alloc(this.#bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** Does nothing the second time. */
  remove(): void {
    this.#unmount();
    rmSync(this.path, { recursive: true, force: true });
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

function tryMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "peregrine-mount-"));
  try {
    new SmallDisk(join(path, "disk"), PAGE_BYTES).remove();
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
