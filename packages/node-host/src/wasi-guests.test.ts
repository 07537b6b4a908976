import fs from "node:fs";
import path from "node:path";
import { WASI } from "node:wasi";
import { GuestExitSignal, WasiHost } from "@peregrine/machine-wasm";
import type { HostFiles, WasiConfig } from "@peregrine/machine-wasm";
import { expect, test } from "vitest";
import { moved } from "../../machine-wasm/test/wasi-bytes.ts";
import { FakeClock, FakeConsole } from "../../machine-wasm/test/wasi-caller.ts";
import { temporaryDirectory } from "../test/guest-directory.ts";
import { NodeClock } from "./host-clock.ts";
import { NodeFiles } from "./host-files.ts";
import { NodeRandom } from "./host-random.ts";

const GUESTS = new URL("../../../examples/guests/", import.meta.url);

interface Run {
  readonly output: string;
  readonly errors: string;
  readonly status: number;
  readonly files: Readonly<Record<string, string>>;
}

class Unwound extends Error {}

/**
 * Runs a real guest as it is, in this thread. At every `every`-th host call the whole WASI state
 * becomes bytes and a new host is made from them. A call that has to wait is unwound first, and
 * issued again on the new host.
 * @param clock of a guest that waits: one that goes on by what it waits, and not while this thread stands still.
 */
function runMoving(
  program: string,
  args: string[],
  input: string,
  directory: string,
  every: number,
  clock: NodeClock | FakeClock = new NodeClock(),
): Run & { moves: number } {
  const module = new WebAssembly.Module(fs.readFileSync(new URL(program, GUESTS)));
  const console = new FakeConsole();
  const files: HostFiles = new NodeFiles();
  let isAsked = false;
  let memory: WebAssembly.Memory | undefined;
  const dependencies = {
    memory: { get buffer() { return memory!.buffer; } }, // prettier-ignore
    files,
    clock,
    random: new NodeRandom(),
    console,
    control: {
      interrupted: () => isAsked,
      wait: (deadlineNs: bigint | undefined) => {
        if (deadlineNs === undefined) throw new Error("the guest waits for ever");
        if (!(clock instanceof FakeClock)) throw new Error("the guest waits, and no time passes");
        clock.advance(deadlineNs - clock.monotonicNs());
      },
      unwind: () => {
        throw new Unwound();
      },
      markDirty: () => {},
    },
  };
  console.type(input);
  console.ended = true;
  const config: WasiConfig = {
    args: [program, ...args],
    env: ["LANG=C"],
    preopens: [{ guestPath: "/data", hostPath: directory }],
  };
  let host: WasiHost | undefined;
  let calls = 0;
  let moves = 0;
  const move = (): void => {
    const state = moved(host!.capture());
    host!.dispose();
    host = new WasiHost({ ...dependencies, restored: state });
    moves += 1;
  };
  const callThrough = (name: string, callArgs: (number | bigint)[]): number => {
    host ??= new WasiHost({ ...dependencies, config });
    calls += 1;
    const isDue = calls % every === 0;
    if (isDue) move();
    isAsked = isDue;
    for (;;) {
      try {
        return host.imports[name]!(...callArgs);
      } catch (error) {
        if (!(error instanceof Unwound)) throw error;
        move();
        isAsked = false;
      }
    }
  };
  const imports = WebAssembly.Module.imports(module).map(
    ({ name }) => [name, (...callArgs: (number | bigint)[]) => callThrough(name, callArgs)] as const,
  );
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: Object.fromEntries(imports) });
  memory = instance.exports["memory"] as WebAssembly.Memory;
  let status = 0;
  try {
    (instance.exports["_start"] as () => void)();
  } catch (error) {
    if (!(error instanceof GuestExitSignal)) throw error;
    status = error.status;
  }
  host?.dispose();
  return { output: console.text(1), errors: console.text(2), status, files: filesIn(directory), moves };
}

/** The same program under Node's own WASI host, undisturbed. */
function runPlain(program: string, args: string[], input: string, directory: string): Run {
  const beside = temporaryDirectory();
  const file = (name: string): string => path.join(beside, name);
  fs.writeFileSync(file("in"), input);
  const [stdin, stdout, stderr] = [
    fs.openSync(file("in"), "r"),
    fs.openSync(file("out"), "w"),
    fs.openSync(file("err"), "w"),
  ];
  const wasi = new WASI({
    version: "preview1",
    args: [program, ...args],
    env: { LANG: "C" },
    preopens: { "/data": directory },
    stdin,
    stdout,
    stderr,
  });
  const module = new WebAssembly.Module(fs.readFileSync(new URL(program, GUESTS)));
  const status = wasi.start(new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.wasiImport }));
  for (const descriptor of [stdin, stdout, stderr]) fs.closeSync(descriptor);
  return {
    output: fs.readFileSync(file("out"), "utf8"),
    errors: fs.readFileSync(file("err"), "utf8"),
    status,
    files: filesIn(directory),
  };
}

function filesIn(directory: string): Record<string, string> {
  return Object.fromEntries(
    fs
      .readdirSync(directory)
      .sort()
      .map((name) => [name, fs.readFileSync(path.join(directory, name), "latin1")]),
  );
}

const LUA = `
  local f = assert(io.open("/data/lines", "w"))
  for i = 1, 40 do f:write("line ", i, "\\n") f:seek("cur", -1) f:write(";\\n") end
  f:close()
  for line in io.lines("/data/lines") do io.write(line, " ") end
  print() print(io.read("l"), io.read("n"), io.read("a"))
  io.stderr:write("done\\n")
`;

const CASES: readonly (readonly [program: string, args: string[], input: string])[] = [
  ["console.wasm", [], "5\nwork 3\nsum\nhistory\nundo\nsum\nquit 4\n"],
  ["console.wasm", [], "12\nsum\n"],
  ["files.wasm", ["/data", "--rounds", "40", "--work", "100"], ""],
  ["grow.wasm", ["--steps", "4", "--mib", "1", "--work", "100"], ""],
  ["rust.wasm", ["3"], ""],
  ["sqlite.wasm", ["workload", "/data/db", "--rounds", "2"], ""],
  [
    "sqlite.wasm",
    ["shell", "/data/db"],
    "create table t(a, b);\ninsert into t values (1, 'x'), (2, 'y');\nselect * from t;\n",
  ],
  ["lua.wasm", ["-e", LUA], "first\n 42 rest\nof it"],
];

test.each(CASES)("%s %j gives the same output wherever it is moved", (program, args, input) => {
  const plain = runPlain(program, args, input, temporaryDirectory());
  expect(plain.output.length).toBeGreaterThan(0);
  for (const every of [Number.POSITIVE_INFINITY, 1, 2, 5]) {
    const { moves, ...run } = runMoving(program, args, input, temporaryDirectory(), every);
    expect(run, `moved at every call of ${every}`).toEqual(plain);
    expect(moves > 0, `moves at every call of ${every}`).toBe(Number.isFinite(every));
  }
});

test("sleeps of all kinds that are moved at each call take as long as they were asked to", () => {
  const { output, moves } = runMoving(
    "sleeper.wasm", ["--seconds", "1", "--deadline", "1"], "", temporaryDirectory(), 1, new FakeClock(),
  ); // prettier-ignore
  expect(output.split("\n").filter((line) => line.includes("slept"))).toEqual([
    "nanosleep in 5 pieces: slept 1 s",
    "poll without descriptors: slept 1 s",
    "sleep: slept 1 s",
    "clock_nanosleep to a deadline: slept 1 s",
  ]);
  expect(moves).toBeGreaterThan(4);
});
