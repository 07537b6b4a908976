import { IncomingMigration } from "@peregrine/dest-agent";
import type { IncomingMigrationOptions } from "@peregrine/dest-agent";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recordsOfArrival } from "./agent-state.ts";
import { ImageStore } from "./image-store.ts";
import { heldImage } from "./machines.ts";
import { OwnershipFile } from "./ownership-file.ts";
import { StoredImage } from "./stored-image.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";
import { virtualMachineStream } from "./testing/virtual-machine-stream.ts";

/** A source that waits for the answer, and takes its loss for decided by it, sends an image to an agent that stores it. */
class StoredArrival implements Disposable {
  readonly stored: StoredImage;
  readonly incoming: IncomingMigration;
  readonly source: Socket;
  readonly said: string[];

  private constructor(stored: StoredImage, incoming: IncomingMigration, source: Socket, said: string[]) {
    this.stored = stored;
    this.incoming = incoming;
    this.source = source;
    this.said = said;
  }

  /** @param accept beside what is stored; undefined: nothing. */
  static async begin(
    { path }: TemporaryDirectory,
    accept?: (arrival: StoredArrival) => Promise<void>,
  ): Promise<StoredArrival> {
    const said: string[] = [];
    const { machine, run } = heldImage(undefined);
    const stored = new StoredImage(await ImageStore.open(join(path, "store"), "vm"), machine, (text) =>
      said.push(text),
    );
    const ledger = await recordsOfArrival(join(path, "state"), "vm");
    const options: IncomingMigrationOptions = {
      machine,
      runControl: run,
      accept: async (how) => {
        await stored.keep(how, ledger);
        await accept?.(arrival);
      },
    };
    const incoming = new IncomingMigration(options);
    const place = join(path, "vm.in");
    await incoming.listen({ uri: `unix:${place}` });
    const source = connect({ path: place, allowHalfOpen: true });
    const arrival = new StoredArrival(stored, incoming, source, said);
    source.resume();
    source.write(virtualMachineStream({ returnPath: true }));
    return arrival;
  }

  [Symbol.dispose](): void {
    this.source.destroy();
  }
}

test("what was stored is given up when the source takes its guest back before it is told", async () => {
  using directory = new TemporaryDirectory();
  using arrival = await StoredArrival.begin(directory, async ({ source, incoming }) => {
    source.end();
    await incoming.done;
  });
  const { incoming, stored } = arrival;
  expect(await incoming.done).toMatchObject({ kind: "failed", error: { code: "CHANNEL_FAILED" } });
  const folder = join(directory.path, "store");
  expect(readdirSync(folder)).toEqual(["vm.qemu"]);
  await stored.loadFailed();
  expect(readdirSync(folder)).toEqual([]);
});

test("until the source is told it may be its guest still, and an agent that is started again does not take it", async () => {
  using directory = new TemporaryDirectory();
  const state = join(directory.path, "state");
  const kept = join(directory.path, "store/vm.qemu");
  const startedAgain = (): Promise<unknown> => recordsOfArrival(state, "vm", kept);
  let refusal: unknown;
  using arrival = await StoredArrival.begin(directory, async () => {
    expect(readdirSync(join(directory.path, "store"))).toEqual(["vm.qemu"]);
    refusal = await startedAgain().then(
      () => undefined,
      (error: unknown) => error,
    );
  });
  const { incoming, stored } = arrival;
  expect(await incoming.done).toMatchObject({ kind: "loaded" });
  expect(refusal).toMatchObject({
    code: "UNDECIDED",
    message: expect.stringMatching(
      /^The guest 'vm' came on \d{4}\S+, and whether its source has kept it was not heard, so it is not taken from /u,
    ),
  });
  await stored.loaded();
  await startedAgain();
});

test("who cannot record that it has the image says what follows", async () => {
  using directory = new TemporaryDirectory();
  const state = join(directory.path, "state");
  const record = join(state, "vm.owner.json");
  using arrival = await StoredArrival.begin(directory);
  expect(await arrival.incoming.done).toMatchObject({ kind: "loaded" });
  const before = readFileSync(record, "utf8");
  // In the place of the file that is written to replace the record.
  mkdirSync(`${record}.${process.pid}`);
  await arrival.stored.loaded();
  expect(arrival.said).toEqual([
    expect.stringMatching(
      /^STORE_FAILED: .*an agent that is started again does not take the image before it is told to$/u,
    ),
  ]);
  expect(readFileSync(record, "utf8")).toBe(before);
  expect((await OwnershipFile.open(state, "vm")).last).toMatchObject({ ownership: "receiving" });
});
