import { MigrationError } from "@peregrine/protocol";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** One file of the page. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

/** What the page is made of, by the path that a browser asks for. */
export interface PageFiles {
  /** Of the sources. */
  readonly stamp: string;
  readonly files: Readonly<Record<string, PageFile>>;
}

/** In the workspace in `packages/dashboard/dist`; beside what was built of the command line, in its `dist`. */
const BUILT = fileURLToPath(new URL("../dist/dashboard-page.json", import.meta.url));

/** Only in the workspace. */
const BUILDER = fileURLToPath(new URL("../page/build.ts", import.meta.url));

/**
 * The files of the page. In the workspace they are built if the sources are newer, by a process of its own, which takes
 * half a second the first time. Errors: INTERNAL.
 */
export async function pageFiles(): Promise<PageFiles> {
  if (existsSync(BUILDER)) await build();
  try {
    return JSON.parse(readFileSync(BUILT, "utf8")) as PageFiles;
  } catch (cause) {
    throw new MigrationError("INTERNAL", `The page of the dashboard was not built: ${BUILT} cannot be read`, {
      cause,
    });
  }
}

async function build(): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [BUILDER], { timeout: 60_000 });
  } catch (cause) {
    // What was built before still is.
    if (existsSync(BUILT)) return;
    const { stderr = "" } = cause as { stderr?: string };
    throw new MigrationError("INTERNAL", `The page of the dashboard cannot be built: ${stderr.trim()}`, {
      cause,
    });
  }
}
