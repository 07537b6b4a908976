import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { zstdDecompressSync } from "node:zlib";

/** Streams recorded from real QEMU, beside the checkout. */
const FOLDER = fileURLToPath(new URL("../../../../shared/fixtures/qemu/", import.meta.url));

/**
 * True where the recordings are not to be had: they lie beside the checkout, not in it. Tests of them are then skipped, and
 * shown as skipped; in CI they fail instead.
 */
export const noRecordings = !existsSync(FOLDER) && process.env["CI"] === undefined;

export interface Fixture {
  readonly name: string;
  readonly ramBlock: string;
  readonly ramBytes: number;
  readonly ramSha256: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

export function fixtureNames(): readonly string[] {
  return manifest().map(({ name }) => name);
}

export function fixture(name: string): Fixture {
  const found = manifest().find((one) => one.name === name);
  if (found === undefined) throw new Error(`the manifest in ${FOLDER} has no fixture '${name}'`);
  return found;
}

/** A file of a fixture, unpacked and checked against the manifest. */
export function fixtureFile(of: Fixture, file: string): Uint8Array {
  const expected = of.files[file];
  if (expected === undefined) throw new Error(`fixture '${of.name}' has no file '${file}'`);
  const raw = readFileSync(path(file));
  const bytes = file.endsWith(".zst") ? zstdDecompressSync(raw) : raw;
  if (bytes.length !== expected.bytes || sha256(bytes) !== expected.sha256) {
    throw new Error(`${path(file)} is not the file that its manifest describes`);
  }
  return bytes;
}

/** The one stream of a recording, or the main one of several. */
export function mainStream(name: string): Uint8Array {
  const of = fixture(name);
  const file = Object.keys(of.files).find(
    (one) => one.endsWith(".stream.zst") || one.endsWith(".mapped.zst"),
  );
  return fixtureFile(of, file!);
}

function manifest(): readonly Fixture[] {
  return JSON.parse(readFileSync(path("manifest.json"), "utf8")) as Fixture[];
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function path(file: string): string {
  const full = FOLDER + file;
  if (!existsSync(full)) {
    throw new Error(
      `${full} is missing: this test needs the recorded QEMU streams in ../shared/fixtures/qemu`,
    );
  }
  return full;
}
