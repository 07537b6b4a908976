import type { QmpClient } from "@peregrine/monitor";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

const PROGRAM = [guest("torture"), "--name", "source", "--keep"];
const ENDLESS = ["--", "--mib", "1", "--rate", "1", "--sweeps", "0"];

type Refusal = readonly [command: string, args: Readonly<Record<string, unknown>>, message: string];

const capabilities = (...names: readonly string[]): Readonly<Record<string, unknown>> => ({
  capabilities: names.map((capability) => ({ capability, state: true })),
});

const IN_PROGRESS = "There's a migration process in progress";
const CACHE_SIZE = "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size";
const throttle = (name: string): string => `Parameter '${name}' expects an integer in the range of 1 to 99`;

/** By the names of the states that the agent is in. */
const REFUSALS: Readonly<
  Record<"always" | "active" | "postmigrate" | "incoming" | "awaiting", readonly Refusal[]>
> = {
  always: [
    ["migrate", {}, "need either 'uri' or 'channels' argument"],
    ["migrate", { uri: "tcp:127.0.0.1" }, "error parsing address '127.0.0.1'"],
    ["migrate", { uri: "unix:" }, "invalid Unix socket address"],
    ["migrate-incoming", { uri: "unix:/x" }, "'-incoming' was not specified on the command line"],
    [
      "migrate-start-postcopy",
      {},
      "Enable postcopy with migrate_set_capability before the start of migration",
    ],
    ["migrate-set-capabilities", capabilities("nope"), "Parameter 'capability' does not accept value 'nope'"],
    ["migrate-set-capabilities", capabilities("multifd", "xbzrle"), "Multifd is not compatible with xbzrle"],
    ["migrate-set-parameters", { "xbzrle-cache-size": 12_288 }, CACHE_SIZE],
    ["migrate-set-parameters", { "xbzrle-cache-size": 2048 }, CACHE_SIZE],
    [
      "migrate-set-parameters",
      { "downtime-limit": 2_000_001 },
      "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms",
    ],
    ["migrate-set-parameters", { "max-bandwidth": "fast" }, "Parameter 'max-bandwidth' expects uint64"],
    [
      "migrate-set-parameters",
      { "multifd-channels": 0 },
      "Parameter 'multifd_channels' expects a value between 1 and 255",
    ],
    ["migrate-set-parameters", { "cpu-throttle-initial": 0 }, throttle("cpu_throttle_initial")],
    ["migrate-set-parameters", { "cpu-throttle-initial": 100 }, throttle("cpu_throttle_initial")],
    ["migrate-set-parameters", { "cpu-throttle-increment": 0 }, throttle("cpu_throttle_increment")],
    ["migrate-set-parameters", { "cpu-throttle-increment": 100 }, throttle("cpu_throttle_increment")],
    ["nope", {}, "The command nope has not been found"],
  ],
  active: [
    ["migrate", { uri: "unix:/x" }, IN_PROGRESS],
    ["migrate-set-capabilities", capabilities("events"), IN_PROGRESS],
  ],
  postmigrate: [
    ["migrate", { uri: "unix:/x" }, "Can't migrate the vm that was paused due to previous migration"],
  ],
  incoming: [["migrate", { uri: "unix:/x" }, "Guest is waiting for an incoming migration"]],
  awaiting: [
    ["migrate", { uri: "unix:/x" }, "Guest is waiting for an incoming migration"],
    ["migrate-incoming", { uri: "unix:/x" }, "The incoming migration has already been started"],
  ],
};

async function expectRefusals(client: QmpClient, state: keyof typeof REFUSALS): Promise<void> {
  for (const [command, args, message] of REFUSALS[state]) {
    const code = command === "nope" ? "COMMAND_NOT_FOUND" : "COMMAND_FAILED";
    const why = `${command} ${JSON.stringify(args)}`;
    await expect(client.execute(command, args), why).rejects.toMatchObject({ code, message });
  }
}

async function status(client: QmpClient, wanted: string): Promise<unknown> {
  const query = (): Promise<unknown> => client.execute("query-migrate");
  await expect.poll(query, { timeout: 15_000 }).toMatchObject({ status: wanted });
  return query();
}

test("every refusal is in QEMU's words, whatever the agent is doing", async () => {
  const source = peregrine.start("run", ...PROGRAM, ...ENDLESS);
  await source.printed("stdout", /sweep 1\n/u);
  const destination = peregrine.start("receive", "defer", "--name", "destination");
  await destination.printed("stderr", /waits for the monitor's command/u);
  const [from, to] = [await peregrine.connect("source"), await peregrine.connect("destination")];
  const uri = `unix:${join(peregrine.directory, "in")}`;

  await expectRefusals(from, "always");
  await from.execute("migrate", { uri: "tcp:127.0.0.1:1" });
  expect(await status(from, "failed")).toEqual({
    status: "failed",
    "error-desc": "Failed to connect to '127.0.0.1:1': Connection refused",
  });
  await from.execute("migrate", { uri: "unix:/nowhere/x.sock" });
  expect(await status(from, "failed")).toEqual({
    status: "failed",
    "error-desc": "Failed to connect to '/nowhere/x.sock': No such file or directory",
  });

  await expectRefusals(to, "incoming");
  await to.execute("migrate-incoming", { uri });
  await expectRefusals(to, "awaiting");

  await from.execute("migrate-set-parameters", { "max-bandwidth": 20_000 });
  await from.execute("migrate", { uri });
  await status(from, "active");
  await expectRefusals(from, "active");
  // These may be set meanwhile.
  const parameters = { "max-bandwidth": 0, "downtime-limit": 2000 };
  await from.execute("migrate-set-parameters", {
    ...parameters,
    "xbzrle-cache-size": 8192,
    "multifd-channels": 3,
  });
  expect(await from.execute("query-migrate-parameters")).toMatchObject({
    ...parameters,
    "xbzrle-cache-size": 8192,
    "multifd-channels": 3,
  });
  await status(from, "completed");
  await expectRefusals(from, "postmigrate");
});
