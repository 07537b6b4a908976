// Runs a guest with node:wasi, unmodified and undisturbed: the oracle a moved run is compared with.
//
//   node run-plain.ts [--dir HOST::GUEST]... [--env K=V]... PROGRAM.wasm [-- ARGS...]
//
// Standard streams are the guest's own, the exit status is the guest's.
// The guest runs in a worker, because deep recursion needs more stack than the main thread has.
// Do not import node:process here: that creates process.stdin, which makes descriptor 0 non-blocking,
// and the guest's reads fail instead of waiting.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { WASI } from "node:wasi";
import { Worker, isMainThread, workerData } from "node:worker_threads";

const STACK_MIB = 64;

interface PlainRun {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly preopens: Readonly<Record<string, string>>;
}

function splitPair(text: string, separator: string, option: string): [string, string] {
  const at = text.indexOf(separator);
  if (at < 1) throw new Error(`${option} ${text}: expected "${separator}" between two names`);
  return [text.slice(0, at), text.slice(at + separator.length)];
}

function readCommandLine(): PlainRun {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      dir: { type: "string", multiple: true, default: [] },
      env: { type: "string", multiple: true, default: [] },
    },
  });
  const [program, ...args] = positionals;
  if (program === undefined) {
    throw new Error("usage: run-plain [--dir HOST::GUEST] [--env K=V] PROGRAM.wasm [-- ARGS]");
  }
  const preopens: Record<string, string> = {};
  for (const text of values.dir) {
    const [host, guest] = splitPair(text, "::", "--dir");
    preopens[guest] = host;
  }
  const env = Object.fromEntries(values.env.map((text) => splitPair(text, "=", "--env")));
  return { program, args, env, preopens };
}

async function runInThisThread(run: PlainRun): Promise<number> {
  const wasi = new WASI({
    version: "preview1",
    args: [basename(run.program), ...run.args],
    env: { ...run.env },
    preopens: { ...run.preopens },
  });
  const module = await WebAssembly.compile(await readFile(run.program));
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport });
  return wasi.start(instance);
}

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: readCommandLine(),
    resourceLimits: { stackSizeMb: STACK_MIB },
  });
  worker.on("exit", (status) => {
    process.exitCode = status;
  });
} else {
  process.exit(await runInThisThread(workerData as PlainRun));
}
