import { MigrationError } from "@peregrine/protocol";
import type { MigrationInfo } from "@peregrine/shared-state";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeAgent } from "../../test/fake-agent.ts";
import { RAM_INFO, XBZRLE_INFO } from "../../test/migration-figures.ts";
import { VERSION } from "../../test/version.ts";
import { createCommands } from "../commands.ts";

let agent: FakeAgent;

beforeEach(() => {
  agent = new FakeAgent();
});

/** What is printed, with a line feed at each line's end. */
async function answer(line: string): Promise<string> {
  const command = createCommands(agent, VERSION).get("human-monitor-command")!;
  const text = (await command.run({ "command-line": line }, { isOwner: true })) as string;
  expect(text.replaceAll("\r\n", "")).not.toContain("\n");
  return text.replaceAll("\r\n", "\n");
}

const tryHelp = (command: string): string => `Try "help ${command}" for more information\n`;

describe("the human monitor", () => {
  test.each([
    ["", ""],
    ["  \t ", ""],
    ["nope x", "unknown command: 'nope'\n"],
    ["INFO status", "unknown command: 'INFO'\n"],
    ["info nope", "unknown command: 'info nope'\n"],
    ["  info   status  ", "VM status: running\n"],
    ["info status x", `info: extraneous characters at the end of line\n${tryHelp("info")}`],
    ["cont x", `cont|c: extraneous characters at the end of line\n${tryHelp("cont")}`],
    ["c x", `cont|c: extraneous characters at the end of line\n${tryHelp("c")}`],
    ["migrate", `migrate: string expected\n${tryHelp("migrate")}`],
    ["migrate -d", `migrate: string expected\n${tryHelp("migrate")}`],
    ["migrate -x tcp:1", `migrate: unsupported option -x\n${tryHelp("migrate")}`],
    ["migrate -d tcp:1 x", `migrate: extraneous characters at the end of line\n${tryHelp("migrate")}`],
    ["migrate_set_parameter", `migrate_set_parameter: string expected\n${tryHelp("migrate_set_parameter")}`],
    ['migrate_set_capability "events on', "unterminated string\n"],
    ['migrate_set_capability "ev\\x" on', "unsupported escape code: '\\x'\n"],
    ["migrate_set_capability events maybe", `Expected 'on' or 'off'\n${tryHelp("migrate_set_capability")}`],
    ["migrate_set_capability nope on", "Error: invalid parameter value: nope\n"],
    ["migrate_set_parameter nope 1", "Error: invalid parameter value: nope\n"],
    ["migrate_set_parameter max-bandwidth x", "Error: Invalid size x\n"],
    ["migrate_set_parameter max-bandwidth -1", "Error: Invalid size -1\n"],
    [
      "migrate_set_parameter downtime-limit 2s",
      "Error: Parameter 'downtime-limit' expects a non-negative number below 2^64\n",
    ],
    [
      "migrate_set_parameter downtime-limit 9999999999",
      "Error: Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms\n",
    ],
    [
      "migrate_set_parameter cpu-throttle-tailslow 1",
      "Error: Parameter 'cpu-throttle-tailslow' expects 'on' or 'off'\n",
    ],
    [
      "migrate_set_parameter multifd-compression x",
      "Error: Parameter 'multifd-compression' does not accept value 'x'\n",
    ],
    ["migrate_set_parameter multifd-channels 300", "Error: Parameter 'multifd-channels' expects uint8_t\n"],
    ["migrate_set_speed x", "Error: Invalid size x\n"],
    ["migrate_set_downtime 1x", "Error: Invalid time 1x\n"],
    ["migrate -r unix:/x", "Error: Cannot resume if there is no paused migration\n"],
    ["info name", "lua\n"],
    ["info version", "2.0.0 (peregrine 0.1.0)\n"],
    ["info migrate", ""],
    ["info migrate_cache_size", "xbzrle cache size: 65536 kbytes\n"],
    ["help c", "cont|c  -- resume emulation\n"],
    ["help nope", "unknown command: 'nope'\n"],
  ])("answers %j", async (line, text) => {
    expect(await answer(line)).toBe(text);
  });

  test("stops, continues and ends the guest", async () => {
    expect(await answer("stop")).toBe("");
    expect(await answer("info status")).toBe("VM status: paused\n");
    expect(await answer("c")).toBe("");
    expect(agent.running).toBe(true);
    expect(await answer("q")).toBe("");
    expect(agent.calls).toEqual([["quit"]]);
  });

  test.each([
    ["1g", 2 ** 30],
    ["100", 100 * 2 ** 20],
    ["1.5M", 1.5 * 2 ** 20],
    ["200k", 200 * 1024],
    ["4096b", 4096],
    ["0", 0],
  ])("sets the speed %s", async (text, bytes) => {
    expect(await answer(`migrate_set_speed ${text}`)).toBe("");
    expect(agent.parameters.maxBandwidth).toBe(bytes);
    expect(await answer("migrate_set_parameter max-bandwidth 7b")).toBe("");
    expect(await answer(`migrate_set_parameter max-bandwidth ${text}`)).toBe("");
    expect(agent.parameters.maxBandwidth).toBe(bytes);
  });

  test.each([
    ["1", 1000],
    ["0.25", 250],
    ["3s", 3000],
    ["7ms", 7],
    ["2000us", 2],
    ["5000000ns", 5],
    ["-1", 0],
  ])("sets the downtime %s", async (text, ms) => {
    expect(await answer(`migrate_set_downtime ${text}`)).toBe("");
    expect(agent.parameters.downtimeLimit).toBeCloseTo(ms, 6);
  });

  test("sets parameters and capabilities, and shows all of them", async () => {
    for (const line of [
      "migrate_set_parameter downtime-limit 1k",
      "migrate_set_parameter xbzrle-cache-size 32m",
      "migrate_set_parameter cpu-throttle-tailslow on",
      "migrate_set_parameter multifd-compression zlib",
      'migrate_set_capability "events" on',
      "migrate_set_capability return-path off",
    ]) {
      expect(await answer(line)).toBe("");
    }
    expect(await answer("info migrate_parameters")).toBe(
      [
        "announce-initial: 50 ms",
        "announce-max: 550 ms",
        "announce-rounds: 5",
        "announce-step: 100 ms",
        "throttle-trigger-threshold: 50",
        "cpu-throttle-initial: 20",
        "cpu-throttle-increment: 10",
        "cpu-throttle-tailslow: on",
        "max-cpu-throttle: 99",
        "tls-creds: ''",
        "tls-hostname: ''",
        "max-bandwidth: 33554432 bytes/second",
        "avail-switchover-bandwidth: 0 bytes/second",
        "downtime-limit: 1024 ms",
        "multifd-channels: 2",
        "multifd-compression: zlib",
        "multifd-zlib-level: 1",
        "multifd-zstd-level: 1",
        "xbzrle-cache-size: 33554432 bytes",
        "tls-authz: ''",
        "",
      ].join("\n"),
    );
    const lines = (await answer("info migrate_capabilities")).split("\n");
    expect(lines).toEqual([
      ...agent.capabilities.list().map(({ capability, state }) => `${capability}: ${state ? "on" : "off"}`),
      "",
    ]);
    expect(lines).toEqual(expect.arrayContaining(["events: on", "return-path: off"]));
    expect(await answer("migrate_set_cache_size 10")).toBe("");
    expect(await answer("info migrate_cache_size")).toBe("xbzrle cache size: 8192 kbytes\n");
  });

  test("migrates, and does not wait where a client of QMP waits for the answer", async () => {
    expect(await answer("migrate -d unix:/x")).toBe("");
    expect(await answer('migrate "unix:/a b"')).toBe(
      "terminal does not allow synchronous migration, continuing detached\n",
    );
    expect(await answer("migrate_cancel")).toBe("");
    expect(agent.calls).toEqual([["migrate", "unix:/x"], ["migrate", "unix:/a b"], ["cancelMigration"]]);
    agent.refusal = new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    expect(await answer("migrate unix:/x")).toBe("Error: There's a migration process in progress\n");
  });

  test("carries out what other commands of QMP do", async () => {
    for (const line of [
      "announce_self eth0,eth1 again",
      "migrate_incoming unix:/x",
      "migrate_continue device",
    ]) {
      expect(await answer(line)).toBe("");
    }
    expect(agent.calls).toEqual([
      [
        "announceSelf",
        { initial: 50, max: 550, rounds: 5, step: 100, interfaces: ["eth0", "eth1"], id: "again" },
      ],
      ["migrateIncoming", "unix:/x", undefined],
      ["continueMigration", "device"],
    ]);
  });

  test("lists its commands, and what can be asked for", async () => {
    const listed = (text: string): string[] =>
      text
        .split("\n")
        .filter((line) => line.includes(" -- "))
        .map((line) => line.split(" -- ")[0]!.trimEnd());
    const commands = listed(await answer("help"));
    expect(commands).toEqual(commands.toSorted((one, other) => (one < other ? -1 : 1)));
    expect(commands).toEqual(
      expect.arrayContaining([
        "cont|c",
        "help|? [cmd]",
        "info [subcommand]",
        "migrate [-d] [-b] [-i] [-r] uri",
        "migrate_cancel",
        "migrate_set_speed value",
        "quit|q",
        "stop|s",
      ]),
    );
    expect(await answer("?")).toBe(await answer("help"));
    expect(await answer("help info")).toBe(await answer("info"));
    expect(listed(await answer("info"))).toEqual([
      "info migrate",
      "info migrate_cache_size",
      "info migrate_capabilities",
      "info migrate_parameters",
      "info name",
      "info status",
      "info version",
    ]);
  });

  test("is there for one CPU only", async () => {
    const command = createCommands(agent, VERSION).get("human-monitor-command")!;
    expect(await command.run({ "command-line": "info name", "cpu-index": 0 })).toBe("lua\r\n");
    await expect(command.run({ "command-line": "info name", "cpu-index": 7 })).rejects.toMatchObject({
      message: "Parameter 'cpu-index' expects a CPU number",
    });
  });
});

describe("info migrate", () => {
  test.each<[string, MigrationInfo, string[]]>([
    ["setup", { status: "setup" }, ["Migration status: setup", "total time: 0 ms"]],
    ["cancelled", { status: "cancelled" }, ["Migration status: cancelled", "total time: 0 ms"]],
    [
      "failed",
      { status: "failed", "error-desc": "Sibling indicated error 1" },
      ["Migration status: failed (Sibling indicated error 1)", "total time: 0 ms"],
    ],
    [
      "blocked",
      { "blocked-reasons": ["The guest is being copied"] },
      ["Outgoing migration blocked:", "  The guest is being copied"],
    ],
    [
      "active",
      {
        status: "active",
        "total-time": 804.6,
        "expected-downtime": 300,
        "setup-time": 2,
        ram: { ...RAM_INFO, "dirty-pages-rate": 0, "precopy-bytes": 0, "downtime-bytes": 0 },
        "cpu-throttle-percentage": 20,
      },
      [
        "Migration status: active",
        "total time: 805 ms",
        "expected downtime: 300 ms",
        "setup: 2 ms",
        "transferred ram: 559 kbytes",
        "throughput: 2.63 mbps",
        "remaining ram: 300 kbytes",
        "total ram: 16904 kbytes",
        "duplicate: 4320 pages",
        "skipped: 0 pages",
        "normal: 130 pages",
        "normal bytes: 520 kbytes",
        "dirty sync count: 2",
        "page size: 4 kbytes",
        "multifd bytes: 0 kbytes",
        "pages-per-second: 80",
        "cpu throttle percentage: 20",
      ],
    ],
    [
      "completed",
      {
        status: "completed",
        "total-time": 2813,
        downtime: 12,
        "setup-time": 2,
        ram: RAM_INFO,
        "xbzrle-cache": XBZRLE_INFO,
      },
      [
        "Migration status: completed",
        "total time: 2813 ms",
        "downtime: 12 ms",
        "setup: 2 ms",
        "transferred ram: 559 kbytes",
        "throughput: 2.63 mbps",
        "remaining ram: 300 kbytes",
        "total ram: 16904 kbytes",
        "duplicate: 4320 pages",
        "skipped: 0 pages",
        "normal: 130 pages",
        "normal bytes: 520 kbytes",
        "dirty sync count: 2",
        "page size: 4 kbytes",
        "multifd bytes: 0 kbytes",
        "pages-per-second: 80",
        "dirty pages rate: 77 pages",
        "precopy ram: 559 kbytes",
        "downtime ram: 1 kbytes",
        "cache size: 67108864 bytes",
        "xbzrle transferred: 0 kbytes",
        "xbzrle pages: 3 pages",
        "xbzrle cache miss: 65 pages",
        "xbzrle cache miss rate: 0.01",
        "xbzrle encoding rate: 0.00",
        "xbzrle overflow: 0",
      ],
    ],
  ])("tells %s in QEMU's lines", async (_, info, lines) => {
    agent.migration = info;
    expect((await answer("info migrate")).split("\n")).toEqual([...lines, ""]);
  });

  test("tells where a guest is awaited", async () => {
    agent.incoming = {
      status: "setup",
      "socket-address": [
        { type: "unix", path: "/x" },
        { type: "inet", host: "127.0.0.1", port: "4444", ipv4: true },
        { type: "inet", host: "::1", port: "4444", ipv6: true },
      ],
    };
    expect(await answer("info migrate")).toBe(
      "Migration status: setup\ntotal time: 0 ms\n" +
        "socket address: [\n\tunix:/x\n\ttcp:127.0.0.1:4444\n\ttcp:[::1]:4444\n]\n",
    );
  });

  test("tells how far disks are", async () => {
    agent.migration = {
      status: "active",
      "total-time": 1,
      "expected-downtime": 1,
      "setup-time": 1,
      ram: RAM_INFO,
      disk: { ...RAM_INFO, transferred: 1 << 20, remaining: 1 << 21, total: 3 << 20 },
    };
    const lines = (await answer("info migrate")).split("\n");
    expect(lines.slice(lines.indexOf("transferred disk: 1024 kbytes"), -1)).toEqual([
      "transferred disk: 1024 kbytes",
      "remaining disk: 2048 kbytes",
      "total disk: 3072 kbytes",
    ]);
  });
});
