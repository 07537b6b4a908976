import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { PEREGRINE } from "../built.ts";

/** Of Debian's bsdutils, which every Debian has: runs a command on a terminal. */
const SCRIPT = "/usr/bin/script";

const COMMAND = `'${process.execPath}' '${PEREGRINE}' info nobody`;
const SENTENCE =
  "peregrine: NO_SUCH_GUEST: No guest with the name 'nobody' runs here; peregrine list shows those that do";

describe("an error", () => {
  test("is one line for a program", async () => {
    const { stderr } = await failing("/bin/sh", ["-c", COMMAND]);
    expect(stderr).toBe(`${SENTENCE}\n`);
  });

  test.skipIf(!existsSync(SCRIPT))("tells somebody at a terminal where to read what to do", async () => {
    const { stdout } = await failing(SCRIPT, ["-qec", COMMAND, "/dev/null"]);
    expect(stdout.replaceAll("\r", "")).toBe(`${SENTENCE}\nWhat to do: peregrine help NO_SUCH_GUEST\n`);
  });
});

async function failing(
  program: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  try {
    await promisify(execFile)(program, args);
  } catch (error) {
    return error as { stdout: string; stderr: string };
  }
  throw new Error("it has not failed");
}
