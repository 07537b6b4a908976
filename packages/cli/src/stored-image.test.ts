import { IncomingMigration } from "@peregrine/dest-agent";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ImageStore } from "./image-store.ts";
import { heldImage } from "./machines.ts";
import { StoredImage } from "./stored-image.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";
import { virtualMachineStream } from "./testing/virtual-machine-stream.ts";

test("what was stored is given up when the source takes its guest back before it is told", async () => {
  using directory = new TemporaryDirectory();
  const folder = join(directory.path, "store");
  const path = join(directory.path, "vm.in");
  const { machine, run } = heldImage(undefined);
  const stored = new StoredImage(await ImageStore.open(folder, "vm"), machine, () => undefined);
  const incoming = new IncomingMigration({
    machine,
    runControl: run,
    accept: async (how) => {
      await stored.keep(how);
      source.end();
      await incoming.done;
    },
  });
  await incoming.listen({ uri: `unix:${path}` });
  const source = connect({ path, allowHalfOpen: true });
  source.resume();
  source.write(virtualMachineStream({ returnPath: true }));

  expect(await incoming.done).toMatchObject({ kind: "failed", error: { code: "CHANNEL_FAILED" } });
  expect(readdirSync(folder)).toEqual(["vm.qemu"]);
  await stored.loadFailed();
  expect(readdirSync(folder)).toEqual([]);
  source.destroy();
});
