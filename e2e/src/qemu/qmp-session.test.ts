import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Host } from "../agent-process.ts";
import { compare } from "./qmp-comparison.ts";
import { DIFFERENCES_DOCUMENT, renderDifferencesDocument } from "./qmp-differences-document.ts";
import { isKnown, unseen } from "./qmp-differences.ts";
import { type Cast, playSession, type Recording } from "./qmp-script.ts";
import { QmpWire } from "./qmp-wire.ts";
import { noQemu, qemu100 } from "./releases.ts";

const PROGRAM = fileURLToPath(new URL("../../../examples/guests/torture.wasm", import.meta.url));
const NAMES = ["source", "first", "second"] as const;

/** The session with three QEMUs. */
async function record(): Promise<Recording> {
  const directory = await mkdtemp(join(tmpdir(), "peregrine-qmp-"));
  const machines = NAMES.map((name) => startQemu(directory, name));
  try {
    return await play(
      directory,
      machines.map(
        ({ exitCode }) =>
          () =>
            exitCode !== null,
      ),
    );
  } finally {
    await Promise.all(machines.map(end));
    await rm(directory, { recursive: true });
  }
}

function startQemu(directory: string, name: string): ChildProcess {
  const command = [
    ["--pdeathsig", "KILL", qemu100.binary, "-no-user-config", "-nodefaults", "-display", "none"],
    ["-accel", "tcg", "-m", "16M", "-name", name],
    ["-qmp", `unix:${join(directory, `${name}.sock`)},server=on,wait=off`],
    name === "source" ? ["-S"] : ["-incoming", "defer"],
  ].flat();
  return spawn("setpriv", command, { stdio: "ignore" });
}

async function end(machine: ChildProcess): Promise<void> {
  if (machine.exitCode !== null) return;
  machine.kill("SIGKILL");
  await once(machine, "close");
}

/** The session with three of our agents. */
async function replay(): Promise<Recording> {
  await using host = await Host.create();
  const agents = [
    host.start(
      [
        "run",
        PROGRAM,
        "--name",
        "source",
        "--paused",
        "--keep",
        "--",
        "--mib",
        "1",
        "--rate",
        "4",
        "--sweeps",
        "0",
      ],
      "source",
    ),
    ...["first", "second"].map((name) => host.start(["receive", "defer", "--name", name], name)),
  ];
  return await play(
    host.directory,
    agents.map((agent) => () => agent.hasEnded),
  );
}

async function play(directory: string, ended: readonly (() => boolean)[]): Promise<Recording> {
  const [source, firstDestination, secondDestination] = await Promise.all(
    NAMES.map((name, n) => QmpWire.connect(join(directory, `${name}.sock`), ended[n]!)),
  );
  const cast = { source, firstDestination, secondDestination, directory } as Cast;
  try {
    return await playSession(cast);
  } finally {
    for (const wire of [source, firstDestination, secondDestination]) wire!.close();
  }
}

it("docs/QMP-DIFFERENCES.md lists what is known; `node e2e/src/qemu/qmp-differences-document.ts` writes it anew", () => {
  expect(readFileSync(DIFFERENCES_DOCUMENT, "utf8")).toBe(renderDifferencesDocument());
});

describe.skipIf(noQemu)("a session with a monitor", () => {
  it("is the same as with QEMU 10.0, but for what is known", async () => {
    const theirs = await record();
    const ours = await replay();
    expect(ours.exchanges.map(({ asked }) => asked)).toEqual(theirs.exchanges.map(({ asked }) => asked));
    const differences = compare(theirs, ours);
    expect(differences.filter((difference) => !isKnown(difference))).toEqual([]);
    expect(unseen(differences)).toEqual([]);
  });
});
