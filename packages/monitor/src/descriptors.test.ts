import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatUri } from "@peregrine/transport";
import { describe, expect, test } from "vitest";
import { FakeAgent } from "../test/fake-agent.ts";
import { monitorOf } from "../test/monitor-of.ts";
import { RawClient } from "../test/raw-client.ts";
import { VERSION } from "../test/version.ts";
import { createCommands } from "./commands.ts";
import { MonitorServer } from "./server.ts";

describe("getfd and closefd", () => {
  const agent = new FakeAgent();
  const commands = createCommands(agent, VERSION);

  test("give the agent what came with the command, and take a name away", async () => {
    await commands.get("getfd")?.run({ fdname: "a" }, { descriptors: { take: () => 42 } });
    await commands.get("closefd")?.run({ fdname: "a" });
    expect(agent.calls).toEqual([
      ["addDescriptor", "a", 42],
      ["removeDescriptor", "a"],
    ]);
  });

  test("leave a descriptor for the next command when their arguments are wrong", () => {
    const take = (): never => expect.fail("it was taken");
    for (const args of [{}, { fdname: 5 }]) {
      expect(() => commands.get("getfd")?.run(args, { descriptors: { take } })).toThrow(/'fdname'/u);
    }
  });
});

describe("a client that hands nothing over", () => {
  const NOTHING = "No file descriptor supplied via SCM_RIGHTS";
  const NOTHING_CAN =
    "No file descriptor can come over this connection: connect to a unix socket of an agent that has the package koffi";

  test.each([
    ["unix", NOTHING],
    ["tcp", NOTHING_CAN],
  ])("over %s is told so", async (kind, desc) => {
    const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    const server = new MonitorServer(monitorOf(new FakeAgent()));
    const address = await server.listen(kind === "tcp" ? "tcp:127.0.0.1:0" : `unix:${join(folder, "qmp")}`);
    const client = await RawClient.negotiated(formatUri(address));
    expect(await client.ask({ execute: "getfd", arguments: { fdname: "a" } })).toEqual({
      error: { class: "GenericError", desc },
    });
    client.channel.destroy();
    await server.close();
    await rm(folder, { recursive: true });
  });
});
