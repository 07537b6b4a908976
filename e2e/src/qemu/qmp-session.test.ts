import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Host } from "../agent-process.ts";
import { compare } from "./qmp-comparison.ts";
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
    for (const machine of machines) machine.kill("SIGKILL");
    await Promise.all(machines.map((machine) => machine.exitCode ?? once(machine, "close")));
    await rm(directory, { recursive: true });
  }
}

function startQemu(directory: string, name: string): ReturnType<typeof spawn> {
  const role = name === "source" ? ["-S"] : ["-incoming", "defer"];
  return spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", qemu100.binary, "-no-user-config", "-nodefaults", "-display", "none"],
      ...["-accel", "tcg", "-m", "16M", "-name", name, ...role],
      ...["-qmp", `unix:${join(directory, `${name}.sock`)},server=on,wait=off`],
    ],
    { stdio: "ignore" },
  );
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
