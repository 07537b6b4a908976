import { connect, formatUri } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeAgent } from "../../test/fake-agent.ts";
import { RAM_INFO } from "../../test/migration-figures.ts";
import { monitorOf } from "../../test/monitor-of.ts";
import { TOKEN } from "../../test/token.ts";
import type { MonitorLimits } from "../limits.ts";
import { MonitorServer } from "../server.ts";

/** Only to end what hangs: a second, as is usual, is less than a busy machine may stand still. */
const PATIENTLY = { timeout: 30_000 };

const GREETING = "peregrine 0.1.0 monitor - type 'help' for more information\r\n(peregrine) ";

/** Someone who types at a terminal. */
class Person {
  readonly #channel: Channel;
  readonly #chunks: AsyncGenerator<Uint8Array, void, void>;
  #text = "";

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#chunks = channel.read();
  }

  type(text: string): Promise<void> {
    return this.#channel.write(Buffer.from(text));
  }

  leave(): Promise<void> {
    return this.#channel.end();
  }

  /** Reads up to `end`, which has to come. */
  async readTo(end: string): Promise<string> {
    while (!this.#text.includes(end)) {
      const { value, done } = await this.#chunks.next();
      if (done === true) throw new Error(`the monitor ended after '${this.#text}'`);
      this.#text += Buffer.from(value).toString();
    }
    const length = this.#text.indexOf(end) + end.length;
    const read = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return read;
  }

  /** Everything that still comes. */
  async readAll(): Promise<string> {
    let rest = this.#text;
    for await (const chunk of this.#chunks) rest += Buffer.from(chunk).toString();
    return rest;
  }
}

describe("a person at the human monitor", () => {
  let agent: FakeAgent;
  let server: MonitorServer;
  let person: Person;
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    await start();
  });

  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function start(limits: Partial<MonitorLimits> = {}): Promise<void> {
    agent = new FakeAgent();
    server = new MonitorServer({ ...monitorOf(agent), limits });
    const address = await server.listen(`unix:${join(folder, "human")}`, "human");
    person = new Person(await connect(formatUri(address)));
    expect(await person.readTo("(peregrine) ")).toBe(GREETING);
  }

  test("is greeted, and prompted after each answer", async () => {
    await person.type("info status\r\nnope\n\ninfo name\n");
    expect(await person.readTo("lua\r\n(peregrine) ")).toBe(
      "VM status: running\r\n(peregrine) unknown command: 'nope'\r\n(peregrine) (peregrine) lua\r\n(peregrine) ",
    );
    await person.leave();
    expect(await person.readAll()).toBe("");
  });

  test("hears no events", async () => {
    await person.type("stop\n");
    await person.readTo("(peregrine) ");
    agent.emit({ name: "RESUME" });
    await person.type("info name\n");
    expect(await person.readTo("(peregrine) ")).toBe("lua\r\n(peregrine) ");
  });

  test("waits for a migration, and is told why it failed", async () => {
    agent.migration = { status: "setup" };
    await person.type("migrate unix:/x\ninfo name\n");
    await vi.waitFor(() => expect(agent.listeners).toBe(2), PATIENTLY);
    agent.migration = { status: "failed", "error-desc": "Connection refused" };
    agent.emit({ name: "MIGRATION", data: { status: "failed" } });
    expect(await person.readTo("lua")).toBe("Error: Connection refused\r\n(peregrine) lua");
    expect(agent.listeners).toBe(1);
  });

  test("sees how far disks are while it waits", async () => {
    const figures = { "total-time": 1, "expected-downtime": 1, "setup-time": 1, ram: RAM_INFO };
    const disk = { ...RAM_INFO, transferred: 1 << 20, total: 3 << 20 };
    agent.migration = { status: "active", ...figures, disk };
    await person.type("migrate unix:/x\n");
    expect(await person.readTo("\r")).toBe("Completed 33 %\r");
  });

  test("need not wait for the end", async () => {
    agent.migration = { status: "setup" };
    await person.type("migrate -d unix:/x\n");
    expect(await person.readTo("(peregrine) ")).toBe("(peregrine) ");
  });

  test("that leaves while a migration goes on is no longer waited for", async () => {
    agent.migration = { status: "setup" };
    await person.type("migrate unix:/x\n");
    await vi.waitFor(() => expect(agent.listeners).toBe(2), PATIENTLY);
    await server.close();
    await vi.waitFor(() => expect(agent.listeners).toBe(0), PATIENTLY);
  });

  test("is told of a line that is too long", async () => {
    await server.close();
    await start({ objectBytes: 20 });
    await person.type(`${"x".repeat(21)}\ninfo name\n`);
    expect(await person.readTo("lua")).toMatch(
      /^Error: a line is longer than 20 bytes\r\n\(peregrine\) lua$/u,
    );
  });
});

describe("a person who comes over the network", () => {
  let agent: FakeAgent;
  let server: MonitorServer;
  let person: Person;

  beforeEach(async () => {
    agent = new FakeAgent();
    server = new MonitorServer({ ...monitorOf(agent), limits: { loginDelay: 1 } });
    person = new Person(await connect(formatUri(await server.listen("tcp:127.0.0.1:0", "human"))));
    expect(await person.readTo(": ")).toBe("Token: ");
  });

  afterEach(() => server.close());

  test("is greeted after the token", async () => {
    await person.type(`quit\n${TOKEN}\ninfo name\n`);
    expect(await person.readTo("(peregrine) ")).toBe(`The token is wrong\r\nToken: ${GREETING}`);
    expect(await person.readTo("(peregrine) ")).toBe("lua\r\n(peregrine) ");
    expect(agent.calls).toEqual([]);
  });

  test("has three tries", async () => {
    await person.type(`1\n2\n3\n${TOKEN}\n`);
    const wrong = "The token is wrong\r\n";
    expect(await person.readAll()).toBe(`${wrong}Token: ${wrong}Token: ${wrong}`);
  });

  test("may not name files of the agent's host, or commands", async () => {
    await person.type(`${TOKEN}\n`);
    await person.readTo("(peregrine) ");
    await person.type(
      "migrate -d file:/x\nmigrate_incoming unix:/x\nmigrate -d exec:id\nmigrate -d tcp::1\n",
    );
    expect(await person.readTo("(peregrine) ")).toMatch(
      /^Error: A client that comes over the network may name /u,
    );
    expect(await person.readTo("(peregrine) ")).toMatch(
      /^Error: A client that comes over the network may name /u,
    );
    expect(await person.readTo("(peregrine) ")).toMatch(/^Error: This agent runs no commands: /u);
    expect(await person.readTo("(peregrine) ")).toBe("(peregrine) ");
    expect(agent.calls).toEqual([["migrate", "tcp::1"]]);
  });
});
