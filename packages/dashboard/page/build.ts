// Builds the page into `dist/dashboard-page.json`, unless what is there was made of the same sources.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PageFile, PageFiles } from "../src/page-files.ts";

const PAGE = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(import.meta.url);

/** What the page has in common with the command line. */
const SHARED = "@peregrine/shared-state/units";

/** In the workspace. */
export const BUILT_PAGE = join(PAGE, "..", "dist", "dashboard-page.json");

/** Builds the page into `file`. Errors: those of the bundler and of the file system. */
export async function buildPage(file: string = BUILT_PAGE): Promise<void> {
  const stamp = stampOfSources();
  if (stampOf(BUILT_PAGE) !== stamp) write(BUILT_PAGE, JSON.stringify(await build(stamp)));
  if (file !== BUILT_PAGE) write(file, readFileSync(BUILT_PAGE, "utf8"));
}

async function build(stamp: string): Promise<PageFiles> {
  const source = (name: string): string => readFileSync(join(PAGE, name), "utf8");
  const files: Record<string, PageFile> = {
    "index.html": { type: "text/html; charset=utf-8", text: source("index.html") },
    "icon.svg": { type: "image/svg+xml", text: source("icon.svg") },
    "dashboard.css": {
      type: "text/css; charset=utf-8",
      text: readFileSync(require.resolve("uplot/dist/uPlot.min.css"), "utf8") + source("style.css"),
    },
    "dashboard.js": { type: "text/javascript; charset=utf-8", text: await bundle() },
  };
  return { stamp, files };
}

async function bundle(): Promise<string> {
  // It takes a tenth of a second to load, and is not needed where nothing has changed.
  const { rolldown } = await import("rolldown");
  const made = await rolldown({ input: join(PAGE, "main.ts"), platform: "browser" });
  try {
    const { output } = await made.generate({ format: "esm", minify: true });
    if (output.length !== 1) throw new Error(`the page is ${output.length} files`);
    return output[0].code;
  } finally {
    await made.close();
  }
}

/** Of everything that the page is made of: its sources, and the releases of what it takes in. */
function stampOfSources(): string {
  const hash = createHash("sha256");
  const sources = readdirSync(PAGE).filter((name) => !name.endsWith(".test.ts"));
  for (const name of sources.sort()) hash.update(`${name}\0`).update(readFileSync(join(PAGE, name)));
  hash.update(readFileSync(require.resolve(SHARED)));
  for (const name of ["uplot", "msgpackr", "rolldown"]) hash.update(`${name}\0${releaseOf(name)}\0`);
  return hash.digest("hex").slice(0, 32);
}

function releaseOf(name: string): string {
  for (let at = dirname(require.resolve(name)); ; at = dirname(at)) {
    try {
      const described = JSON.parse(readFileSync(join(at, "package.json"), "utf8")) as {
        name?: string;
        version?: string;
      };
      if (described.name === name) return String(described.version);
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}

function stampOf(file: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as PageFiles).stamp;
  } catch {
    return undefined;
  }
}

/** As a whole or not at all: several processes may build at the same time. */
function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const made = `${file}.${process.pid}`;
  writeFileSync(made, text);
  renameSync(made, file);
}

if (import.meta.main) await buildPage();
