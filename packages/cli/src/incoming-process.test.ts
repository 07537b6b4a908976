import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { QmpClient } from "@peregrine/monitor";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** A destination that was not told where to wait, and a client of its monitor. */
async function deferred(...options: readonly string[]): Promise<[TestProcess, QmpClient]> {
  const process = peregrine.start("receive", "defer", "--name", "b", ...options);
  await process.printed(
    "stderr",
    /^peregrine: Guest 'b' waits for the monitor's command migrate-incoming\n/u,
  );
  return [process, await peregrine.connect("b")];
}

/** Sends what is no migration stream. */
function sendJunk(path: string): void {
  const socket = connect(path);
  socket.on("error", () => undefined);
  socket.end("GET / HTTP/1.1\r\n\r\n");
}

const inRuntimeDirectory = (name: string): string => join(peregrine.directory, name);

test("a guest arrives where the monitor says", async () => {
  const [destination, client] = await deferred();
  expect(await client.execute("query-migrate")).toEqual({});
  expect(await client.execute("query-status")).toEqual({ status: "inmigrate", running: false });
  const uri = `unix:${inRuntimeDirectory("in")}`;
  expect(await client.execute("migrate-incoming", { uri })).toEqual({});

  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", "--mib", "1", "--sweeps", "0");
  await source.printed("stdout", /sweep 1\n/u);
  expect(await peregrine.run("migrate", "a", uri)).toMatchObject({ status: 0 });
  await destination.printed("stdout", /sweep \d+\n/u);
  expect(await client.execute("query-status")).toEqual({ status: "running", running: true });
});

test("an address that cannot be had is followed by another; then it is too late", async () => {
  const [, client] = await deferred();
  const refused = async (uri: string): Promise<string> =>
    client.execute("migrate-incoming", { uri }).then(
      () => "",
      (error: Error) => error.message,
    );
  expect(await refused("fax:1")).toBe("unknown migration protocol: fax:1");
  expect(await refused("tcp:127.0.0.1")).toBe("error parsing address '127.0.0.1'");
  expect(await refused("unix:")).toBe("invalid Unix socket address");
  expect(await refused("unix:/nowhere/x")).toContain("Failed to listen on '/nowhere/x'");
  expect(await refused("tcp:127.0.0.1:0")).toBe("");
  expect(await refused("tcp:127.0.0.1:0")).toBe("The incoming migration has already been started");
});

test("nothing arrives at an agent that runs its own guest", async () => {
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", "--mib", "1", "--sweeps", "0");
  await source.printed("stdout", /sweep 1\n/u);
  const client = await peregrine.connect("a");
  await expect(client.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" })).rejects.toThrow(
    "'-incoming' was not specified on the command line",
  );
});

const REASON = "Not a migration stream (byte 0)";

test.each([
  { machine: "image", said: {} },
  { machine: "wasm", options: ["--no-exit-on-error"], said: { "exit-on-error": true } },
])(
  "a failed load ends a $machine with the reason and status 1: $said",
  async ({ machine, options, said }) => {
    const [destination, client] = await deferred("--machine", machine, ...(options ?? []));
    await client.execute("migrate-incoming", { uri: `unix:${inRuntimeDirectory("in")}`, ...said });
    sendJunk(inRuntimeDirectory("in"));
    const { status, stderr } = await destination.finished();
    expect(status).toBe(1);
    expect(stderr.split("\n").slice(1)).toEqual([
      `peregrine: NOT_A_STREAM: ${REASON}`,
      `peregrine: load of migration failed: ${REASON}`,
      "",
    ]);
  },
);

test.each([
  { machine: "image", said: { "exit-on-error": false }, refusal: "The virtual machine is not here any more" },
  {
    machine: "wasm",
    options: ["--no-exit-on-error"],
    said: {},
    refusal: "Guest is waiting for an incoming migration",
  },
])("a failed load of a $machine leaves its monitor: $options, $said", async (given) => {
  const { machine, options, said, refusal } = given;
  const [destination, client] = await deferred("--machine", machine, ...(options ?? []));
  const uri = `unix:${inRuntimeDirectory("in")}`;
  await client.execute("migrate-incoming", { uri, ...said });
  sendJunk(inRuntimeDirectory("in"));
  await destination.printed("stderr", /\nperegrine: NOT_A_STREAM: [^\n]+\n$/u);
  for (;;) {
    const info = (await client.execute("query-migrate")) as { status?: string };
    if (info.status === "failed") {
      expect(info).toEqual({ status: "failed", "error-desc": `load of migration failed: ${REASON}` });
      break;
    }
    await delay(10);
  }
  expect(await client.execute("query-status")).toEqual({ status: "inmigrate", running: false });
  await expect(client.execute("migrate-incoming", { uri })).rejects.toThrow(
    "The incoming migration has already been started",
  );
  await expect(client.execute("migrate", { uri: "tcp:127.0.0.1:1" })).rejects.toThrow(refusal);
  await client.execute("quit");
  expect(await destination.finished()).toMatchObject({ status: 0, stdout: "" });
});
