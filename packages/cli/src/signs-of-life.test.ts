import { IncomingMigration } from "@peregrine/dest-agent";
import { globalStateDevice, RunControl } from "@peregrine/shared-state";
import { intervalTicker, TestMachine } from "@peregrine/shared-state/testing";
import { OutgoingMigration } from "@peregrine/source-agent";
import { formatUri } from "@peregrine/transport";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";

/** Milliseconds. Words come each second, and a thread that gets no processor for a while is late with them. */
const SILENCE = 5000;

test("a destination that prepares for longer than a source waits for a word is not given up", async () => {
  const here = TestMachine.source({ ticker: intervalTicker() });
  const run = new RunControl(here);
  here.devices.register(globalStateDevice(run));
  await run.cont();
  const there = TestMachine.destination();
  const arrivingRun = new RunControl(there, { initial: "inmigrate" });
  there.devices.register(globalStateDevice(arrivingRun));
  there.prepared = () => delay(1.2 * SILENCE);

  const incoming = new IncomingMigration({ machine: there, runControl: arrivingRun });
  const address = await incoming.listen({ uri: "tcp:127.0.0.1:0" });
  const outgoing = new OutgoingMigration({ machine: here, run, timeouts: { silence: SILENCE } });
  outgoing.setSpeed(0);
  outgoing.migrate(formatUri(address));
  const result = await incoming.done;
  await expect.poll(() => outgoing.status, { timeout: 20_000 }).toMatch(/completed|failed/u);
  expect([outgoing.error?.message, outgoing.status, result]).toMatchObject([
    undefined,
    "completed",
    { kind: "loaded", runState: "running" },
  ]);
  there.verify();
  await outgoing.dispose();
  await there.dispose();
});
