import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Guest, pathOf } from "../../examples/guests/guests.ts";

/** What a run leaves behind. */
export interface RunOutcome {
  readonly stdout: Buffer;
  readonly status: number | null;
  /** Files in the directories that the guest was given empty, by path. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** The directories of one run of a guest: new ones, or those that it only reads. */
export class GuestDirectories implements AsyncDisposable {
  readonly options: readonly string[];
  readonly #made: readonly string[];

  private constructor(options: readonly string[], made: readonly string[]) {
    this.options = options;
    this.#made = made;
  }

  static async create(guest: Guest): Promise<GuestDirectories> {
    const options: string[] = [];
    const made: string[] = [];
    for (const { guest: path, source } of guest.dirs ?? []) {
      const directory = await mkdtemp(join(tmpdir(), "peregrine-dir-"));
      made.push(directory);
      if (source !== null) await cp(pathOf(source), directory, { recursive: true });
      options.push("--dir", `${directory}::${path}`);
    }
    return new GuestDirectories(options, made);
  }

  async files(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    for (const [index, directory] of this.#made.entries()) {
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        found.set(`${index}:${path.slice(directory.length)}`, await readFile(path));
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const directory of this.#made) await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Runs a guest with Node's own WASI host, unmodified. The signal ends it early.
 * @returns what it did, and how long it took, in ms.
 */
export async function runUndisturbed(
  guest: Guest,
  signal?: AbortSignal,
): Promise<RunOutcome & { readonly duration: number }> {
  await using directories = await GuestDirectories.create(guest);
  const env = Object.entries(guest.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const args = [
    pathOf("run-plain.ts"),
    ...directories.options,
    ...env,
    pathOf(guest.file),
    "--",
    ...guest.args,
  ];
  const start = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", "pipe", "ignore"],
    ...(signal === undefined ? {} : { signal }),
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(guest.stdin ?? "");
  const [status] = (await once(child, "close")) as [number | null];
  return {
    stdout: Buffer.concat(chunks),
    status,
    files: await directories.files(),
    duration: performance.now() - start,
  };
}
