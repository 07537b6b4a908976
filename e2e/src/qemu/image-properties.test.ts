import { describe, expect, it } from "vitest";
import { expectArrived, expectCompleted, expectRunning, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100, qemu72 } from "./releases.ts";
import { type Intake, intake, outgoing } from "./settings.ts";

const UUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/** How an image comes to know its virtual machine's UUID, which a QEMU checks on multifd channels. */
const sources: readonly {
  readonly what: string;
  readonly into: Pick<Intake, "source" | "channels">;
  readonly options?: readonly string[];
}[] = [
  { what: "by multifd", into: intake.zlib },
  { what: "by the stream", into: { source: { capabilities: ["validate-uuid"] }, channels: 0 } },
  { what: "by an option", into: intake.plain, options: ["--uuid", UUID] },
];

describe.skipIf(noQemu).concurrent("the UUID of a virtual machine is kept:", () => {
  for (const release of [qemu100, qemu72]) {
    for (const { what, into, options } of sources) {
      it(`${what}, ${release.version}`, async ({ onTestFinished }) => {
        const lab = await Lab.create(onTestFinished);
        const machine = { release, type: "pc", uuid: UUID };
        const [source, destination, image] = await Promise.all([
          lab.start("boot", machine),
          lab.start("held", machine),
          lab.receiveImage(into, options),
        ]);
        await destination.configure(outgoing.none.destination);
        await source.untilPrinted(1);
        expectCompleted(await send(source, image.uri, into.source), image.agent);
        await image.agent.until("stderr", /is held here/);
        await lab.migrate(image.agent, await destination.listen(), outgoing.none.options);
        await expectArrived(source, destination);
      });
    }
  }
});

describe.skipIf(noQemu).concurrent("a virtual machine that stands still", () => {
  for (const release of [qemu100, qemu72]) {
    it(`does so at its destination: ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const machine = { release, type: "pc" };
      const [source, destination] = await Promise.all([
        lab.start("boot", machine),
        lab.start("incoming", machine),
      ]);
      const relay = await lab.relay(await destination.listen(), {});
      await source.untilPrinted(1);
      await source.execute("stop");
      await source.configure(intake.returnPath.source);
      await source.execute("migrate", { uri: relay.uri });
      expect(await relay.agent.ended).toMatchObject({ status: 0 });
      await destination.untilStatus("paused");
      await destination.execute("cont");
      await expectRunning(destination);
    });
  }
});
