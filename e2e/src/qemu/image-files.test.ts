import { access } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PeregrineProcess } from "../agent-process.ts";
import { expectArrived, expectCompleted, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100, qemu72 } from "./releases.ts";
import { type Intake, intake } from "./settings.ts";
import type { VirtualMachine } from "./virtual-machine.ts";

/** Holds the guest of `source` as an image. */
async function hold(
  lab: Lab,
  source: VirtualMachine,
  { channels, source: settings }: Intake,
  options: readonly string[] = [],
): Promise<PeregrineProcess> {
  const { agent, uri } = await lab.receiveImage({ channels }, options);
  await source.untilPrinted(1);
  expectCompleted(await send(source, uri, settings), agent);
  await agent.until("stderr", /is held here/);
  return agent;
}

const toNewest = [
  ...["pc", "q35", qemu100.oldestType].map((type) => ({ from: qemu100, type })),
  ...["pc-i440fx-7.2", "pc-q35-7.2", "pc-i440fx-2.4"].map((type) => ({ from: qemu72, type })),
];

describe.skipIf(noQemu).concurrent("a mapped-ram file made of an image is loaded by QEMU:", () => {
  for (const { from, type } of toNewest) {
    it(`${from.version} to ${qemu100.version}, ${type}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, destination] = await Promise.all([
        lab.start("boot", { release: from, type, devices: true }),
        lab.start("held", { release: qemu100, type, devices: true }),
      ]);
      const uri = `file:${join(lab.directory, "vm.mapped")}`;
      await lab.migrate(await hold(lab, source, intake.returnPath), uri, ["--mapped-ram"]);
      await destination.configure({ capabilities: ["mapped-ram"] });
      await destination.execute("migrate-incoming", { uri });
      await expectArrived(source, destination);
    });
  }
});

describe.skipIf(noQemu).concurrent("a stored image", () => {
  for (const release of [qemu100, qemu72]) {
    it(`survives the death of the agent that held it: ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const store = join(lab.directory, "store");
      const options = { release, type: release.oldestType, devices: true };
      const [source, destination] = await Promise.all([
        lab.start("boot", options),
        lab.start("held", options),
      ]);
      const agent = await hold(lab, source, intake.returnPath, ["--store", store]);
      agent.child.kill("SIGKILL");
      await agent.ended;
      const again = lab.host.start(agent.args, agent.name);
      await again.until("stderr", /is held here/);
      await lab.migrate(again, await destination.listen());
      await expectArrived(source, destination);
      expect(await again.ended).toMatchObject({ status: 0 });
      await expect(access(join(store, `${again.name}.qemu`))).rejects.toThrow("ENOENT");
    });

    it(`is a file that QEMU takes by itself: ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const store = join(lab.directory, "store");
      const options = { release, type: "pc", devices: true };
      const [source, destination] = await Promise.all([
        lab.start("boot", options),
        lab.start("held", options),
      ]);
      const agent = await hold(lab, source, intake.zstd, ["--store", store]);
      await destination.execute("migrate-incoming", {
        uri: `exec:cat ${join(store, `${agent.name}.qemu`)}`,
      });
      await expectArrived(source, destination);
    });
  }
});

/** Files that a QEMU writes, and the settings for it. */
const files = [
  { what: "a file", release: qemu100, uri: (path: string) => `file:${path}`, settings: {} },
  {
    what: "a mapped-ram file",
    release: qemu100,
    uri: (path: string) => `file:${path}`,
    settings: { capabilities: ["mapped-ram"] },
  },
  {
    what: "what a program was given",
    release: qemu72,
    uri: (path: string) => `exec:cat >${path}`,
    settings: {},
  },
];

describe.skipIf(noQemu).concurrent("an image is taken from a file that QEMU has written:", () => {
  for (const { what, release, uri, settings } of files) {
    it(`${what}, ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const path = join(lab.directory, "vm");
      const machine = { release, type: "pc", devices: true };
      const [source, destination] = await Promise.all([
        lab.start("boot", machine),
        lab.start("held", machine),
      ]);
      await source.untilPrinted(1);
      expect(await send(source, uri(path), settings)).toMatchObject({ status: "completed" });
      const agent = lab.host.start(["receive", `file:${path}`, "--machine", "image", "--name", "vm"], "vm");
      await agent.until("stderr", /is held here/);
      await lab.migrate(agent, await destination.listen());
      await expectArrived(source, destination);
    });
  }
});
