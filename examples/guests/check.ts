// Runs every guest twice with node:wasi and checks its exit status and that both runs print the same.
//
//   node check.ts [NAME]...

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demos, guests, pathOf } from "./guests.ts";
import type { Guest } from "./guests.ts";

interface Outcome {
  readonly status: number | null;
  readonly output: Buffer;
  readonly errors: string;
  readonly seconds: number;
}

function commandLine(guest: Guest, emptyDirectory: string): string[] {
  const dirs = (guest.dirs ?? []).flatMap(({ guest: path, source }) => [
    "--dir",
    `${source === null ? emptyDirectory : pathOf(source)}::${path}`,
  ]);
  const env = Object.entries(guest.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const runner = ["--disable-warning=ExperimentalWarning", pathOf("run-plain.ts")];
  return [...runner, ...dirs, ...env, pathOf(guest.file), "--", ...guest.args];
}

async function run(guest: Guest): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), "guest-"));
  const start = performance.now();
  const child = spawn(process.execPath, commandLine(guest, directory));
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  setTimeout(() => child.stdin.end(guest.stdin ?? ""), guest.stdinAfterMs ?? 0);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  await rm(directory, { recursive: true });
  return {
    status,
    output: Buffer.concat(output),
    errors: Buffer.concat(errors).toString(),
    seconds: (performance.now() - start) / 1000,
  };
}

function problemOf(guest: Guest, first: Outcome, second: Outcome): string | null {
  const expected = guest.status ?? 0;
  for (const { status, errors } of [first, second]) {
    if (status !== expected) return `exit status ${status} instead of ${expected}\n${errors}`;
  }
  return first.output.equals(second.output) ? null : "two runs print different things";
}

const wanted = process.argv.slice(2);
for (const guest of [...guests, ...demos].filter(
  ({ name }) => wanted.length === 0 || wanted.includes(name),
)) {
  const [first, second] = [await run(guest), await run(guest)];
  const problem = problemOf(guest, first, second);
  if (problem !== null) {
    process.exitCode = 1;
    console.log(`${guest.name}: ${problem}`);
    continue;
  }
  const { size } = await stat(pathOf(guest.file));
  const lines = first.output.toString().split("\n").length - 1;
  const digest = createHash("sha256").update(first.output).digest("hex").slice(0, 8);
  console.log(
    `${guest.name}: ${first.seconds.toFixed(1)} s, ${lines} lines, output ${digest}, ${size} bytes of code`,
  );
}
