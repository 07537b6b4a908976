/**
 * Random things are done to a migration, in any order and at any moment. MODEL_SECONDS sets how long, MODEL_SEED
 * with what to begin: `MODEL_SECONDS=600 MODEL_SEED=7 vitest run src/state-machine.test.ts`.
 */
import * as fc from "fast-check";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { MigrationWorld } from "./testing/migration-world.ts";
import type { Destination, GuestModel } from "./testing/migration-world.ts";

const MiB = 1 << 20;
const SECONDS = Number(process.env["MODEL_SECONDS"] ?? 2);
const SEED = Number(process.env["MODEL_SEED"] ?? 1);

type Command = fc.AsyncCommand<GuestModel, MigrationWorld>;

function command(
  text: string,
  run: (world: MigrationWorld, guest: GuestModel) => void | Promise<void>,
): Command {
  return {
    check: () => true,
    run: async (guest, world) => {
      await run(world, guest);
    },
    toString: () => text,
  };
}

const ready = Promise.resolve();
const never = new Promise<void>(() => {});

const destinations: fc.Arbitrary<Destination> = fc.oneof(
  fc.constantFrom<Destination>(
    "nowhere",
    { acknowledged: ready },
    { acknowledged: ready, shut: 1 },
    { acknowledged: ready, shut: "close" },
    { acknowledged: ready, shut: "nothing" },
    { acknowledged: ready },
    { acknowledged: ready },
    { prepared: never },
    {},
  ),
  fc.integer({ min: 1, max: 900_000 }).map((dropAt) => ({ acknowledged: ready, dropAt })),
);

const capabilities = fc
  .record({ pause: fc.boolean(), xbzrle: fc.boolean(), answer: fc.boolean(), ack: fc.boolean() })
  .map(({ pause, xbzrle, answer, ack }) => ({
    "pause-before-switchover": pause,
    xbzrle,
    "return-path": answer,
    "switchover-ack": answer && ack,
  }));

/** States that are waited for. */
const WAITS = {
  begun: ["active", "pre-switchover", "completed", "failed"],
  rests: ["pre-switchover", "completed", "failed", "cancelled"],
} as const;

const waits = fc.constantFrom(...(Object.keys(WAITS) as (keyof typeof WAITS)[]));

const migrate = fc.tuple(destinations, fc.option(waits)).map(([destination, until]) =>
  command(`migrate(${fc.stringify(destination)}, ${until})`, async (world) => {
    await world.migrate(destination);
    if (until !== null) await world.reaches(...WAITS[until]);
  }),
);

const commands: fc.Arbitrary<Command>[] = [
  migrate,
  migrate,
  migrate,
  waits.map((until) => command(`until it ${until}`, (world) => world.reaches(...WAITS[until]))),
  fc.nat(50).map((ms) => command(`wait(${ms})`, () => delay(ms))),
  fc.constant(command("cancel", (world) => world.source.migration.cancel())),
  fc
    .tuple(
      fc.constantFrom("setup", "active", "pre-switchover", "device"),
      fc.constantFrom("cancel", "kill", "continue"),
    )
    .map(([status, act]) =>
      command(`${act} when ${status}`, (world) =>
        world.when(status, () => {
          if (act === "cancel") world.source.migration.cancel();
          else if (act === "kill") void world.kill();
          else world.continue("pre-switchover");
        }),
      ),
    ),
  fc
    .constantFrom("pre-switchover", "pre-switchover", "device", "active")
    .map((state) => command(`continue(${state})`, (world) => world.continue(state))),
  fc
    .constantFrom(0, 2 * MiB, 64 * MiB)
    .map((speed) => command(`speed(${speed})`, (world) => world.source.migration.setSpeed(speed))),
  capabilities.map((states) =>
    command(`capabilities(${fc.stringify(states)})`, (world) => world.setCapabilities(states)),
  ),
  fc.constant(command("stop", (world, guest) => world.stop(guest))),
  fc.constant(command("cont", (world, guest) => world.cont(guest))),
  fc.constant(command("kill the destination", (world) => world.kill())),
];

test(
  "a migration keeps its rules and its guest, whatever is done to it",
  async () => {
    const end = performance.now() + SECONDS * 1000;
    let runs = 0;
    const todo = fc.commands(commands, { maxCommands: 20, size: "max" });
    const property = fc.asyncProperty(capabilities, todo, async (states, actions) => {
      if (runs > 0 && performance.now() > end) return;
      await using world = await MigrationWorld.make();
      world.setCapabilities(states);
      const guest: GuestModel = { runs: true };
      await fc.asyncModelRun(() => ({ model: guest, real: world }), actions);
      await world.settle(guest);
      runs++;
    });
    // What fails depends on the moment: no shorter way to the same failure is looked for.
    await fc.assert(property, { seed: SEED, numRuns: 100_000, endOnFailure: true });
    expect(runs).toBeGreaterThan(0);
  },
  (SECONDS + 30) * 1000,
);
