import { describe, expect, test } from "vitest";
import { FakeAgent } from "../../test/fake-agent.ts";
import { VERSION } from "../../test/version.ts";
import type { CommandClient } from "../command.ts";
import { createCommands } from "../commands.ts";
import type { OpeningPolicy } from "./opened-by-uri.ts";

const OWNER: CommandClient = { isOwner: true };
const NETWORK: CommandClient = {};

const NOTHING: OpeningPolicy = { exec: false, hostFromNetwork: false };
const EXEC: OpeningPolicy = { exec: true, hostFromNetwork: false };
const HOST: OpeningPolicy = { exec: false, hostFromNetwork: true };

const OUTSIDE = ["tcp:127.0.0.1:1", "ws://example.org:1/", "wss://example.org:1/"];
const OF_THE_HOST = [
  "file:/x",
  "file:x,offset=4k",
  "fd:0",
  "fd:name",
  "unix:/x",
  "wss://example.org:1/?ca=/x",
];
const COMMAND = "exec:cat";

/** Each way in which a client can name where a migration goes or comes from. */
const WAYS: readonly [string, (uri: string) => [string, Record<string, unknown>]][] = [
  ["migrate", (uri) => ["migrate", { uri }]],
  ["migrate-incoming", (uri) => ["migrate-incoming", { uri }]],
  ["x-peregrine-migrate", (uri) => ["x-peregrine-migrate", { uri }]],
  ["x-peregrine-copy", (uri) => ["x-peregrine-copy", { uri }]],
];

describe.each(WAYS)("%s", (_, request) => {
  async function outcome(uri: string, client: CommandClient, policy: OpeningPolicy): Promise<string> {
    const agent = new FakeAgent();
    const [name, args] = request(uri);
    try {
      await createCommands(agent, VERSION, policy).get(name)!.run(args, client);
    } catch (error) {
      expect(agent.calls).toEqual([]);
      return (error as { code: string }).code;
    }
    expect(agent.calls).toHaveLength(1);
    return "opened";
  }

  test.each(OUTSIDE)("opens %s for everybody", async (uri) => {
    for (const client of [OWNER, NETWORK]) expect(await outcome(uri, client, NOTHING)).toBe("opened");
  });

  test.each(OF_THE_HOST)("opens %s for the owner, for others if that is allowed", async (uri) => {
    expect(await outcome(uri, OWNER, NOTHING)).toBe("opened");
    expect(await outcome(uri, NETWORK, NOTHING)).toBe("NOT_FROM_NETWORK");
    expect(await outcome(uri, NETWORK, EXEC)).toBe("NOT_FROM_NETWORK");
    expect(await outcome(uri, NETWORK, HOST)).toBe("opened");
  });

  test("runs commands where that is allowed", async () => {
    for (const client of [OWNER, NETWORK]) {
      expect(await outcome(COMMAND, client, NOTHING)).toBe("EXEC_NOT_ALLOWED");
      expect(await outcome(COMMAND, client, HOST)).toBe("EXEC_NOT_ALLOWED");
      expect(await outcome(COMMAND, client, EXEC)).toBe("opened");
    }
  });
});

describe("object-add", () => {
  async function outcome(
    properties: Record<string, unknown>,
    client: CommandClient,
    policy: OpeningPolicy,
  ): Promise<unknown> {
    const agent = new FakeAgent();
    try {
      await createCommands(agent, VERSION, policy).get("object-add")!.run(properties, client);
    } catch (error) {
      expect(agent.calls).toEqual([]);
      return error;
    }
    expect(agent.calls).toEqual([["add-object", properties]]);
    return "made";
  }

  test.each([
    ["dir", { "qom-type": "tls-creds-x509", id: "a", dir: "/x", endpoint: "server" }],
    ["dir", { "qom-type": "tls-creds-psk", id: "a", dir: "/x" }],
    ["filename", { "qom-type": "authz-list-file", id: "a", filename: "/x" }],
    ["filename", { "qom-type": "authz-simple", id: "a", identity: "b", filename: null }],
  ])("takes %s of the owner, of others if that is allowed", async (property, properties) => {
    expect(await outcome(properties, OWNER, NOTHING)).toBe("made");
    for (const policy of [NOTHING, EXEC]) {
      expect(await outcome(properties, NETWORK, policy)).toMatchObject({
        code: "NOT_FROM_NETWORK",
        message: `A client that comes over the network may name no files of this host, as '${property}' does: use the agent's unix socket, or start it with --allow-host-uris`,
      });
    }
    expect(await outcome(properties, NETWORK, HOST)).toBe("made");
  });

  test("makes what has no files for everybody", async () => {
    const properties = { "qom-type": "authz-simple", id: "a", identity: "b" };
    for (const client of [OWNER, NETWORK]) expect(await outcome(properties, client, NOTHING)).toBe("made");
  });
});

test.each(["migrate -d exec:cat", "migrate_incoming exec:cat"])(
  "%s of a person is refused in the same way",
  async (line) => {
    const agent = new FakeAgent();
    const command = createCommands(agent, VERSION).get("human-monitor-command")!;
    expect(await command.run({ "command-line": line }, OWNER)).toBe(
      "Error: This agent runs no commands: start it with --allow-exec to use exec:\r\n",
    );
    expect(agent.calls).toEqual([]);
  },
);

test("an address taken apart is refused like its URI", async () => {
  const agent = new FakeAgent();
  const addr = { transport: "exec", args: ["id"] };
  const run = (): unknown =>
    createCommands(agent, VERSION)
      .get("migrate")!
      .run({ channels: [{ "channel-type": "main", addr }] }, OWNER);
  expect(run).toThrow("This agent runs no commands");
  expect(agent.calls).toEqual([]);
});
