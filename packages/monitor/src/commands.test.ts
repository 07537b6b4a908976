import { MigrationError } from "@peregrine/protocol";
import { MigrationCapabilities } from "@peregrine/shared-state";
import { beforeEach, describe, expect, test } from "vitest";
import { FAKE_RAM_BYTES, FakeAgent } from "../test/fake-agent.ts";
import { VERSION } from "../test/version.ts";
import { createCommands } from "./commands.ts";

let agent: FakeAgent;

beforeEach(() => {
  agent = new FakeAgent();
});

async function run(name: string, args: Record<string, unknown> = {}): Promise<unknown> {
  const command = createCommands(agent, VERSION, { exec: true, hostFromNetwork: false }).get(name);
  if (command === undefined) throw new Error(`no command ${name}`);
  return (await command.run(args, { isOwner: true })) ?? {};
}

describe("the commands about the guest", () => {
  test("answer what the agent says", async () => {
    expect(await run("query-status")).toEqual({ status: "running", running: true });
    expect(await run("query-name")).toEqual({ name: "lua" });
    expect(await run("query-version")).toEqual(VERSION);
    expect(await run("x-peregrine-info")).toEqual(await agent.info());
    const { memory: none, ...seen } = await agent.observe(0);
    expect(await run("x-peregrine-observe")).toEqual({ ...seen, memory: none });
    const picture = { pagesPerCell: 1, blocks: [{ name: "ram", pages: 2, cells: 2 }], cells: "AQEBAQEB" };
    expect(await run("x-peregrine-observe", { cells: 2 })).toEqual({ ...seen, memory: picture });
    await expect(run("x-peregrine-observe", { cells: 16_385 })).rejects.toMatchObject({
      message: expect.stringContaining("cells"),
    });
    agent.name = null;
    expect(await run("query-name")).toEqual({});
  });

  test("stop, continue and end it", async () => {
    expect(await run("stop")).toEqual({});
    expect(agent.running).toBe(false);
    expect(await run("cont")).toEqual({});
    expect(agent.running).toBe(true);
    expect(await run("quit")).toEqual({});
    expect(agent.calls).toEqual([["quit"]]);
  });

  test("are all listed", async () => {
    const listed = (await run("query-commands")) as { name: string }[];
    const known = createCommands(agent, VERSION).keys();
    expect(listed).toEqual(["qmp_capabilities", ...known].map((name) => ({ name })));
  });
});

describe("the commands about the migration", () => {
  test("start, continue and cancel it", async () => {
    expect(await run("migrate", { uri: "tcp:[::1]:4444", blk: false, inc: false, detach: true })).toEqual({});
    expect(await run("migrate-continue", { state: "pre-switchover" })).toEqual({});
    expect(await run("migrate_cancel")).toEqual({});
    expect(agent.calls).toEqual([
      ["migrate", "tcp:[::1]:4444"],
      ["continueMigration", "pre-switchover"],
      ["cancelMigration"],
    ]);
  });

  test.each([
    [{ blk: true }, "all"],
    [{ blk: true, inc: true }, "inc"],
    [{ blk: false, inc: true }, "inc"],
  ])("with %o send drives along", async (flags, storage) => {
    await run("migrate", { uri: "unix:/x", ...flags });
    expect(agent.calls).toEqual([["migrate", "unix:/x", { storage }]]);
  });

  test.each([
    [{}, "Parameter 'state' is missing"],
    [{ state: 3 }, "Invalid parameter type for 'state', expected: string"],
  ])("do not continue it with %j", async (args, text) => {
    await expect(run("migrate-continue", args)).rejects.toThrow(text);
  });

  test.each([
    [{ transport: "socket", type: "inet", host: "127.0.0.1", port: "44" }, "tcp:127.0.0.1:44"],
    [{ transport: "socket", type: "inet", host: "::1", port: "44" }, "tcp:[::1]:44"],
    [UNIX, "unix:/x"],
    [{ transport: "socket", type: "fd", str: "name" }, "fd:name"],
    [{ transport: "file", filename: "/x,offset=y", offset: 4096 }, "file:/x,offset=y,offset=4096"],
    [{ transport: "exec", args: ["/bin/sh", "-c", "it's > x"] }, "exec:'/bin/sh' '-c' 'it'\\''s > x'"],
  ])("take the destination apart: %j", async (addr, uri) => {
    expect(await run("migrate", { channels: [channel(addr)] })).toEqual({});
    expect(agent.calls).toEqual([["migrate", uri]]);
  });

  test("wait for a guest", async () => {
    const addr = { transport: "socket", type: "inet", host: "127.0.0.1", port: "0" };
    expect(await run("migrate-incoming", { uri: "unix:/x" })).toEqual({});
    await run("migrate-incoming", { channels: [channel(addr)], "exit-on-error": false });
    expect(agent.calls).toEqual([
      ["migrateIncoming", "unix:/x", undefined],
      ["migrateIncoming", "tcp:127.0.0.1:0", false],
    ]);
  });

  test.each([
    [{}, "need either 'uri' or 'channels' argument"],
    [{ uri: "unix:/x", channels: [channel(UNIX)] }, "need either 'uri' or 'channels' argument"],
    [{ uri: 3 }, "Invalid parameter type for 'uri', expected: string"],
    [
      { uri: "unix:/x", "exit-on-error": "no" },
      "Invalid parameter type for 'exit-on-error', expected: boolean",
    ],
    [{ uri: "unix:/x", bogus: 1 }, "Parameter 'bogus' is unexpected"],
  ])("do not wait for a guest with %j", async (args, message) => {
    await expect(run("migrate-incoming", args)).rejects.toMatchObject({ code: "BAD_PARAMETER", message });
  });

  test("announce the guest", async () => {
    const request = { initial: 50, max: 550, rounds: 5, step: 100 };
    expect(await run("announce-self", request)).toEqual({});
    await run("announce-self", { ...request, interfaces: ["net0"], id: "x" });
    expect(agent.calls).toEqual([
      ["announceSelf", request],
      ["announceSelf", { ...request, interfaces: ["net0"], id: "x" }],
    ]);
  });

  // What QEMU 10.0 answers.
  test.each([
    [{}, "Parameter 'initial' is missing"],
    [{ initial: "a", max: 1, rounds: 1, step: 1 }, "Invalid parameter type for 'initial', expected: integer"],
    [{ initial: 1.5, max: 1, rounds: 1, step: 1 }, "Invalid parameter type for 'initial', expected: integer"],
    [
      { initial: 1, max: 1, rounds: 1, step: 1, interfaces: "a" },
      "Invalid parameter type for 'interfaces', expected: array",
    ],
    [
      { initial: 1, max: 1, rounds: 1, step: 1, interfaces: [1] },
      "Invalid parameter type for 'interfaces[0]', expected: string",
    ],
    [{ initial: 1, max: 1, rounds: 1, step: 1, bogus: 1 }, "Parameter 'bogus' is unexpected"],
  ])("do not announce the guest with %j", async (args, message) => {
    await expect(run("announce-self", args)).rejects.toMatchObject({ code: "BAD_PARAMETER", message });
  });

  test("resume nothing", async () => {
    await expect(run("migrate", { uri: "unix:/x", resume: true })).rejects.toMatchObject({
      code: "WRONG_STATE",
      message: "Cannot resume if there is no paused migration",
    });
    expect(await run("migrate", { uri: "unix:/x", resume: false })).toEqual({});
  });

  test("copy a virtual machine that is held", async () => {
    expect(await run("x-peregrine-copy", { uri: "unix:/x" })).toEqual({});
    expect(await run("x-peregrine-copy", { uri: "unix:/x", tls: false })).toEqual({});
    expect(agent.calls).toEqual([
      ["copy", "unix:/x", undefined],
      ["copy", "unix:/x", false],
    ]);
    agent.refusal = new MigrationError("WRONG_STATE", "Only a virtual machine that is held can be copied");
    await expect(run("x-peregrine-copy", { uri: "unix:/x" })).rejects.toBe(agent.refusal);
  });

  test("answer its state as the agent tells it", async () => {
    expect(await run("query-migrate")).toEqual({});
    agent.migration = { status: "failed", "error-desc": "Failed to connect to '/x': Connection refused" };
    expect(await run("query-migrate")).toEqual(agent.migration);
  });

  test("set speed and downtime, held to what is possible", async () => {
    await run("migrate_set_speed", { value: 1000 });
    expect(agent.parameters.maxBandwidth).toBe(1000);
    await run("migrate_set_speed", { value: -1 });
    expect(agent.parameters.maxBandwidth).toBe(0);
    await run("migrate_set_speed", JSON.parse('{"value": 9223372036854775807}') as Record<string, unknown>);
    expect(agent.parameters.maxBandwidth).toBe(2 ** 63);
    await run("migrate_set_downtime", { value: 0.25 });
    expect(agent.parameters.downtimeLimit).toBe(250);
    await run("migrate_set_downtime", { value: -3 });
    expect(agent.parameters.downtimeLimit).toBe(0);
    await run("migrate_set_downtime", { value: 1e300 });
    expect(agent.parameters.downtimeLimitNs).toBe(2 ** 64);
  });

  test("set and show the parameters", async () => {
    expect(await run("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 2_000_000 })).toEqual(
      {},
    );
    const multifd = {
      "multifd-channels": 4,
      "multifd-compression": "zstd",
      "multifd-zlib-level": 9,
      "multifd-zstd-level": 20,
    };
    await run("migrate-set-parameters", { ...multifd, "xbzrle-cache-size": 8192 });
    expect(await run("query-migrate-parameters")).toMatchObject({
      "max-bandwidth": 0,
      "downtime-limit": 2_000_000,
      "xbzrle-cache-size": 8192,
      ...multifd,
    });
    await run("migrate-set-parameters", { "max-bandwidth": 2 ** 63 });
    await run("migrate-set-parameters", {});
    expect(agent.parameters.values()).toMatchObject({
      "max-bandwidth": 2 ** 63,
      "downtime-limit": 2_000_000,
    });
  });

  test("set the size of the XBZRLE cache and show it", async () => {
    expect(await run("query-migrate-cache-size")).toBe(64 << 20);
    expect(await run("migrate-set-cache-size", { value: 10_000_000 })).toEqual({});
    expect(await run("query-migrate-cache-size")).toBe(8 << 20);
    await expect(run("migrate-set-cache-size", { value: FAKE_RAM_BYTES + 1 })).rejects.toMatchObject({
      message: "Parameter 'cache size' expects exceeds guest ram size ",
    });
  });

  test("set and show the capabilities", async () => {
    const listed = async (): Promise<unknown> => run("query-migrate-capabilities");
    expect(await listed()).toEqual(new MigrationCapabilities().list());
    const capabilities = [
      { capability: "events", state: true },
      { capability: "return-path", state: false },
    ];
    expect(await run("migrate-set-capabilities", { capabilities })).toEqual({});
    expect(await listed()).toEqual(expect.arrayContaining(capabilities));
  });

  test("pass on the agent's refusal", async () => {
    agent.refusal = new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    await expect(run("migrate", { uri: "unix:/x" })).rejects.toBe(agent.refusal);
    agent.status = "active";
    await expect(run("migrate-set-capabilities", { capabilities: [] })).rejects.toMatchObject({
      message: "There's a migration process in progress",
    });
  });
});

/** One entry of `channels` of the command migrate. */
function channel(addr: Record<string, unknown>): Record<string, unknown> {
  return { "channel-type": "main", addr };
}

const UNIX = { transport: "socket", type: "unix", path: "/x" };
const NO_DESTINATION = "need either 'uri' or 'channels' argument";

describe("wrong arguments", () => {
  const downtime = "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms";
  const bandwidth = "Parameter 'max-bandwidth' expects uint64";

  test.each<[string, Record<string, unknown>, string]>([
    ["migrate", {}, NO_DESTINATION],
    ["migrate", { channels: [] }, NO_DESTINATION],
    ["migrate", { uri: "unix:/x", channels: [channel(UNIX)] }, NO_DESTINATION],
    ["migrate", { uri: 1 }, "Invalid parameter type for 'uri', expected: string"],
    ["migrate", { uri: null }, "Invalid parameter type for 'uri', expected: string"],
    ["migrate", { uri: "x", foo: true }, "Parameter 'foo' is unexpected"],
    ["migrate", { channels: [channel(UNIX), channel(UNIX)] }, "Channel list has more than one main entry"],
    ["migrate", { channels: {} }, "Invalid parameter type for 'channels', expected: array"],
    ["migrate", { channels: [1] }, "Invalid parameter type for 'channels[0]', expected: object"],
    ["migrate", { channels: [{ "channel-type": "main" }] }, "Parameter 'channels[0].addr' is missing"],
    ["migrate", { channels: [{ addr: UNIX }] }, "Parameter 'channels[0].channel-type' is missing"],
    [
      "migrate",
      { channels: [{ "channel-type": "nope", addr: UNIX }] },
      "Parameter 'channel-type' does not accept value 'nope'",
    ],
    [
      "migrate",
      { channels: [{ "channel-type": 1, addr: UNIX }] },
      "Invalid parameter type for 'channels[0].channel-type', expected: string",
    ],
    [
      "migrate",
      { channels: [channel({ transport: "nope" })] },
      "Parameter 'transport' does not accept value 'nope'",
    ],
    [
      "migrate",
      { channels: [channel({ transport: 1 })] },
      "Invalid parameter type for 'channels[0].addr.transport', expected: string",
    ],
    ["migrate", { channels: [channel({})] }, "Parameter 'channels[0].addr.transport' is missing"],
    [
      "migrate",
      { channels: [channel({ transport: "socket" })] },
      "Parameter 'channels[0].addr.type' is missing",
    ],
    [
      "migrate",
      { channels: [channel({ transport: "socket", type: "nope" })] },
      "Parameter 'type' does not accept value 'nope'",
    ],
    [
      "migrate",
      { channels: [channel({ transport: "socket", type: "unix" })] },
      "Parameter 'channels[0].addr.path' is missing",
    ],
    [
      "migrate",
      { channels: [channel({ ...UNIX, foo: 1 })] },
      "Parameter 'channels[0].addr.foo' is unexpected",
    ],
    [
      "migrate",
      { channels: [channel({ transport: "file", filename: "x" })] },
      "Parameter 'channels[0].addr.offset' is missing",
    ],
    [
      "migrate",
      { channels: [channel({ transport: "exec", args: ["a", 1] })] },
      "Invalid parameter type for 'channels[0].addr.args[1]', expected: string",
    ],
    ["migrate", { uri: "x", detach: 1 }, "Invalid parameter type for 'detach', expected: boolean"],
    ["migrate", { uri: "x", blk: 1 }, "Invalid parameter type for 'blk', expected: boolean"],
    ["stop", { now: 1 }, "Parameter 'now' is unexpected"],
    [
      "stop",
      JSON.parse('{"__proto__": 1}') as Record<string, unknown>,
      "Parameter '__proto__' is unexpected",
    ],
    ["migrate_set_speed", {}, "Parameter 'value' is missing"],
    ["migrate_set_speed", { value: "1" }, "Invalid parameter type for 'value', expected: integer"],
    ["migrate_set_speed", { value: 1.5 }, "Invalid parameter type for 'value', expected: integer"],
    ["migrate_set_speed", { value: 2 ** 64 }, "Invalid parameter type for 'value', expected: integer"],
    ["migrate_set_downtime", { value: true }, "Invalid parameter type for 'value', expected: number"],
    ["migrate-set-parameters", { "max-bandwidth": -1 }, bandwidth],
    ["migrate-set-parameters", { "max-bandwidth": 0.5 }, bandwidth],
    ["migrate-set-parameters", { "max-bandwidth": "fast" }, bandwidth],
    ["migrate-set-parameters", { "max-bandwidth": 2 ** 65 }, bandwidth],
    ["migrate-set-parameters", { "downtime-limit": 2_000_001 }, downtime],
    ["migrate-set-parameters", { "downtime-limit": -1 }, downtime],
    ["migrate-set-parameters", { "tls-cert": "tls0" }, "Parameter 'tls-cert' is unexpected"],
    ["object-add", { "qom-type": "tls-creds-x509" }, "Parameter 'id' is missing"],
    ["object-add", { "qom-type": "secret", id: "a", data: "b" }, "Parameter 'data' is unexpected"],
    ["object-del", {}, "Parameter 'id' is missing"],
    ["migrate-set-cache-size", { value: 1.5 }, "Invalid parameter type for 'value', expected: integer"],
    ["migrate-set-capabilities", {}, "Parameter 'capabilities' is missing"],
    [
      "migrate-set-capabilities",
      { capabilities: {} },
      "Invalid parameter type for 'capabilities', expected: array",
    ],
    [
      "migrate-set-capabilities",
      { capabilities: [1] },
      "Invalid parameter type for 'capabilities[0]', expected: object",
    ],
    ["migrate-set-capabilities", { capabilities: [{}] }, "Parameter 'capabilities[0].capability' is missing"],
    [
      "migrate-set-capabilities",
      { capabilities: [{ capability: "events", state: "on" }] },
      "Invalid parameter type for 'capabilities[0].state', expected: boolean",
    ],
    [
      "migrate-set-capabilities",
      {
        capabilities: [
          { capability: "events", state: true },
          { capability: "nope", state: true },
        ],
      },
      "Parameter 'capability' does not accept value 'nope'",
    ],
    [
      "migrate-set-capabilities",
      { capabilities: [{ capability: "toString", state: true }] },
      "Parameter 'capability' does not accept value 'toString'",
    ],
  ])("%s %j", async (name, args, message) => {
    const before = [agent.parameters.values(), agent.capabilities.list()];
    await expect(run(name, args)).rejects.toMatchObject({ code: "BAD_PARAMETER", message });
    expect(agent.calls).toEqual([]);
    expect([agent.parameters.values(), agent.capabilities.list()]).toEqual(before);
  });
});
