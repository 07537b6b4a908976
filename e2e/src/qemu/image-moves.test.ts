import { describe, expect, it } from "vitest";
import { expectArrived, expectCompleted, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import { casesOf } from "./matrix.ts";
import { noQemu, qemu72 } from "./releases.ts";
import { intake, outgoing } from "./settings.ts";

const { plain, returnPath, xbzrle, none, zlib, zstd } = intake;

const cases = casesOf(
  (release) => [
    { type: "pc", into: plain, out: outgoing.plain },
    { type: "q35", into: xbzrle, out: outgoing.noReturnPath },
    { type: release.oldestType, into: plain, out: outgoing.xbzrle },
    { type: release.oldestType, into: returnPath, out: outgoing.none },
    { type: "q35", into: none, out: outgoing.none },
    { type: "pc", into: zlib, out: outgoing.zstd },
    { type: "q35", into: zstd, out: outgoing.zlib },
    { type: release.oldestType, into: none, out: outgoing.plain },
    { type: release.oldestType, into: zstd, out: outgoing.zstd },
    { type: "pc", into: returnPath, out: outgoing.xbzrle },
    ...(release === qemu72 ? [{ type: "pc-i440fx-2.3", into: xbzrle, out: outgoing.zlib }] : []),
  ],
  [
    { type: "pc-i440fx-7.2", into: plain, out: outgoing.noReturnPath },
    { type: "pc-q35-7.2", into: returnPath, out: outgoing.plain },
    { type: "pc-i440fx-2.4", into: xbzrle, out: outgoing.zlib },
    { type: "pc-i440fx-7.2", into: none, out: outgoing.zstd },
    { type: "pc-i440fx-2.4", into: zlib, out: outgoing.none },
    { type: "pc-q35-7.2", into: zstd, out: outgoing.xbzrle },
  ],
);

describe.skipIf(noQemu).concurrent("a virtual machine is held as an image between two QEMU:", () => {
  for (const { title, from, to, type, devices, transport, starts, into, out } of cases) {
    it(title, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, destination, image] = await Promise.all([
        lab.start("boot", { release: from, type, devices }),
        lab.start(starts ? "incoming" : "held", { release: to, type, devices }),
        lab.receiveImage({ ...into, transport }),
      ]);
      await destination.configure(out.destination);
      const uri = await destination.listen(transport);
      await source.untilPrinted(1);
      const info = await send(source, image.uri, into.source);
      expectCompleted(info, image.agent);
      expect(into.used(info)).toBeGreaterThan(0);
      await image.agent.until("stderr", /is held here/);
      await lab.migrate(image.agent, uri, out.options);
      await expectArrived(source, destination);
    });
  }
});
