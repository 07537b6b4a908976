import { describe, expect, it } from "vitest";
import { migrate } from "../agent-process.ts";
import { expectArrived, expectCompleted, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100 } from "./releases.ts";

const ACKNOWLEDGED = { capabilities: ["return-path", "switchover-ack"] };

describe.skipIf(noQemu)("with switchover-ack on at both ends", () => {
  it("a QEMU 10.0 sends to an image, and the image to a QEMU 10.0", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const [source, destination, image] = await Promise.all([
      lab.start("boot", { release: qemu100, type: "pc" }),
      lab.start("held", { release: qemu100, type: "pc" }),
      lab.receiveImage({}),
    ]);
    await destination.configure(ACKNOWLEDGED);
    const uri = await destination.listen();
    await image.agent.execute("migrate-set-capabilities", {
      capabilities: ACKNOWLEDGED.capabilities.map((capability) => ({ capability, state: true })),
    });
    await source.untilPrinted(1);
    // Its guest never stops writing, so something is always left, and it has to wait.
    expectCompleted(await send(source, image.uri, ACKNOWLEDGED), image.agent);
    await image.agent.until("stderr", /is held here/);
    expect(await migrate(image.agent, uri)).toMatchObject({ status: "completed" });
    await expectArrived(source, destination);
  });
});
