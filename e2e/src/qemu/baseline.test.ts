import { describe, expect, it } from "vitest";
import { expectArrived, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100, qemu72 } from "./releases.ts";

/** That the lab is right: what is moved is also what arrives where nothing of ours takes part. */
describe.skipIf(noQemu).concurrent("from QEMU to QEMU:", () => {
  it.for([
    { from: qemu100, to: qemu100, type: "pc" },
    { from: qemu100, to: qemu100, type: "q35" },
    { from: qemu72, to: qemu72, type: "pc" },
    { from: qemu72, to: qemu72, type: qemu72.oldestType },
    { from: qemu72, to: qemu100, type: "pc-i440fx-7.2" },
  ])("$from.version to $to.version, $type", async ({ from, to, type }, { onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const [source, destination] = await Promise.all([
      lab.start("boot", { release: from, type, devices: true }),
      lab.start("held", { release: to, type, devices: true }),
    ]);
    const uri = await destination.listen();
    await source.untilPrinted(1);
    expect(await send(source, uri)).toMatchObject({ status: "completed" });
    await expectArrived(source, destination);
  });
});
