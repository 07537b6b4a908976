import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CuttingProxy } from "./testing/cutting-proxy.ts";
import type { MESSAGE } from "./testing/cutting-proxy.ts";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Prints a line for each sweep over its memory, and never ends. */
const SWEEPING = ["--mib", "1", "--rate", "4", "--sweeps", "0", "--every", "1"];

type Hop = "to the relay" | "behind the relay";

interface Chain {
  readonly source: TestProcess;
  readonly relay: TestProcess;
  readonly destination: TestProcess;
  /** Of the migration at the source. */
  readonly outcome: string;
}

/** Guest `a` was sent to `b` by a relay. @param cut a message that breaks the connection instead of being passed on. */
async function sendByRelay(cut?: { readonly lost: keyof typeof MESSAGE; readonly hop: Hop }): Promise<Chain> {
  const [destination, last] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  using behind = await proxyTo(last, cut?.hop === "behind the relay" ? cut.lost : undefined);
  const relay = peregrine.start("relay", "tcp:127.0.0.1:0", behind.uri, "--name", "r");
  const [, first] = await relay.printed("stderr", /is awaited on (\S+)/u);
  using before = await proxyTo(first!, cut?.hop === "to the relay" ? cut.lost : undefined);
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", ...SWEEPING);
  await source.printed("stdout", /sweep 2\n/u);
  const outcome = await migrate("a", before.uri);
  return { source, relay, destination, outcome };
}

async function migrate(name: string, uri: string): Promise<string> {
  const client = await peregrine.connect(name);
  await client.execute("migrate", { uri });
  let outcome: string;
  do {
    await delay(20);
    ({ status: outcome } = (await client.execute("query-migrate")) as { status: string });
  } while (!["completed", "failed", "cancelled"].includes(outcome));
  await client.close();
  return outcome;
}

async function proxyTo(
  uri: string,
  lost: keyof typeof MESSAGE | undefined,
): Promise<{ readonly uri: string } & Disposable> {
  if (lost === undefined) return { uri, [Symbol.dispose]: () => undefined };
  return CuttingProxy.listen(Number(uri.split(":").at(-1)), lost);
}

async function owner(name: string): Promise<string> {
  const { owner: who, status } = await peregrine.report(name);
  return `${String(who)}, ${String(status)}`;
}

/** The sweeps that both have printed, each once. */
function expectNothingTwice(...outputs: readonly string[]): void {
  const sweeps = Array.from(outputs.join("").matchAll(/sweep (\d+)\n/gu), (match) => Number(match[1]));
  expect(sweeps).toEqual(sweeps.map((_, index) => sweeps[0]! + index));
}

async function resolve(name: string, as: "owner" | "gone"): Promise<void> {
  const client = await peregrine.connect(name);
  await client.execute("x-peregrine-resolve", { as });
  await client.close();
}

describe("a guest that a relay sends on", () => {
  test("is handed over by its source, and the relay has no part in it", async () => {
    const { source, relay, destination, outcome } = await sendByRelay();
    expect(outcome).toBe("completed");
    await destination.printed("stdout", /sweep \d+\n/u);
    expect(await relay.finished()).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^(?:pass \d+.*\n)*moved in .*\n$/u),
    });
    expectNothingTwice((await source.finished()).stdout, destination.stdout);
    const { handOvers } = await peregrine.report("b");
    expect(handOvers).toMatchObject([{ side: "taker", knows: "owner" }]);
  });

  test.for(["to the relay", "behind the relay"] as const)(
    "goes on at the source when the word that it is loaded is lost %s",
    async (hop) => {
      const { source, relay, destination, outcome } = await sendByRelay({ lost: "loaded", hop });
      expect(outcome).toBe("failed");
      await destination.printed("stderr", /UNDECIDED: The guest is loaded, and the source did not say/u);
      expect([await owner("a"), await owner("b")]).toEqual(["owner, running", "undecided, inmigrate"]);
      expect(await relay.finished()).toMatchObject({ status: 1 });
      await resolve("b", "gone");
      await source.printed("stdout", /sweep \d+\n.*sweep \d+\n.*sweep \d+\n/su);
      expect(destination.stdout).toBe("");
    },
  );

  test.for(["to the relay", "behind the relay"] as const)(
    "stands still at both ends when the decision is lost %s, until an operator says who has it",
    async (hop) => {
      const { source, relay, destination, outcome } = await sendByRelay({ lost: "give", hop });
      expect(outcome).toBe("failed");
      await destination.printed("stderr", /UNDECIDED/u);
      expect([await owner("a"), await owner("b")]).toEqual([
        "undecided, finish-migrate",
        "undecided, inmigrate",
      ]);
      expect(await relay.finished()).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("UNDECIDED"),
      });
      // Both know the migration by the same name.
      expect(await peregrine.run("resolve", "a", "--peer", "b")).toMatchObject({
        status: 0,
        stdout: expect.stringContaining("b, the other side: holds the guest, stopped"),
      });
      await resolve("b", "gone");
      expect((await destination.finished()).status).toBe(1);
      await resolve("a", "owner");
      await source.printed("stdout", /sweep \d+\n.*sweep \d+\n.*sweep \d+\n/su);
      expect(destination.stdout).toBe("");
    },
  );

  test.for(["to the relay", "behind the relay"] as const)(
    "runs at the destination when its answer is lost %s, and the source is told by an operator",
    async (hop) => {
      const { source, destination, outcome } = await sendByRelay({ lost: "taken", hop });
      expect(outcome).toBe("failed");
      await destination.printed("stdout", /sweep/u);
      expect([await owner("a"), await owner("b")]).toEqual(["undecided, finish-migrate", "owner, running"]);
      await resolve("a", "gone");
      expectNothingTwice((await source.finished()).stdout, destination.stdout);
    },
  );
});
