import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { REWRITER_REVISION, REWRITER_VERSION, type Rewritten } from "@peregrine/machine-wasm";

const DIGEST_BYTES = 32;
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** Where rewritten modules are kept, unless told otherwise: `$XDG_CACHE_HOME/peregrine`. */
export const defaultCacheDirectory = (): string =>
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "peregrine");

/**
 * Rewritten modules on disk, by the SHA-256 of the original. A file is its own digest and then the serialized result;
 * one that is damaged or from another version of Node counts as absent. A cache that cannot be written is no error.
 */
export class ProgramCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  #path(original: Uint8Array, variant: string): string {
    const key = sha256(original).toString("hex");
    return join(this.#directory, `${key}-${REWRITER_VERSION}.${REWRITER_REVISION}-${variant}.rewritten`);
  }

  /** @param variant what else the result depends on. */
  async get(original: Uint8Array, variant: string): Promise<Rewritten | undefined> {
    try {
      const file = await readFile(this.#path(original, variant));
      const content = file.subarray(DIGEST_BYTES);
      if (!sha256(content).equals(file.subarray(0, DIGEST_BYTES))) return undefined;
      return deserialize(content) as Rewritten;
    } catch {
      return undefined;
    }
  }

  async put(original: Uint8Array, variant: string, rewritten: Rewritten): Promise<void> {
    const path = this.#path(original, variant);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const content = serialize(rewritten);
      await writeFile(temporary, Buffer.concat([sha256(content), content]), { mode: 0o600 });
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }
}
