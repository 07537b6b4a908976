import { describe, expect, it } from "vitest";
import { expectArrived, expectCompleted, letGo, sendSlowly, untilSentOn } from "./journey.ts";
import { Lab } from "./lab.ts";
import { casesOf } from "./matrix.ts";
import { noQemu, qemu72 } from "./releases.ts";
import { intake, outgoing } from "./settings.ts";

const { plain, returnPath, xbzrle, none, zlib, zstd } = intake;
/** What makes the changed pages so small that a slow link may bring the migration to its end before it is let go. */
const shrinking: readonly unknown[] = [xbzrle, zlib, zstd];

const cases = casesOf(
  (release) => [
    { type: "pc", into: returnPath, out: outgoing.plain },
    { type: "q35", into: plain, out: outgoing.zstd },
    { type: release.oldestType, into: returnPath, out: outgoing.xbzrle },
    { type: "q35", into: xbzrle, out: outgoing.xbzrle },
    { type: "pc", into: xbzrle, out: outgoing.zlib },
    { type: "pc", into: none, out: outgoing.noReturnPath },
    { type: "q35", into: zlib, out: outgoing.none },
    { type: release.oldestType, into: zstd, out: outgoing.zstd },
    { type: release.oldestType, into: plain, out: outgoing.none },
    { type: "pc", into: zstd, out: outgoing.xbzrle },
    ...(release === qemu72 ? [{ type: "pc-i440fx-2.3", into: returnPath, out: outgoing.zlib }] : []),
  ],
  [
    { type: "pc-i440fx-7.2", into: plain, out: outgoing.xbzrle },
    { type: "pc-q35-7.2", into: returnPath, out: outgoing.zstd },
    { type: "pc-i440fx-2.4", into: xbzrle, out: outgoing.plain },
    { type: "pc-i440fx-7.2", into: none, out: outgoing.zlib },
    { type: "pc-q35-7.2", into: zlib, out: outgoing.noReturnPath },
    { type: "pc-i440fx-2.4", into: zstd, out: outgoing.none },
  ],
);

/** Pages that the guest goes on changing. */
const GUEST_PAGES = 2816;

describe.skipIf(noQemu).concurrent("a virtual machine is relayed from QEMU to QEMU while it runs:", () => {
  for (const { title, from, to, type, devices, transport, starts, into, out } of cases) {
    it(title, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, destination] = await Promise.all([
        lab.start("boot", { release: from, type, devices }),
        lab.start(starts ? "incoming" : "held", { release: to, type, devices }),
      ]);
      await destination.configure(out.destination);
      const uri = await destination.listen(transport);
      const relay = await lab.relay(uri, { ...into, transport }, out.options);
      await source.untilPrinted(1);
      await sendSlowly(source, relay.uri, into.source);
      await untilSentOn(relay.agent, GUEST_PAGES);
      if (!shrinking.includes(into)) expect(await source.status()).toBe("running");
      const info = await letGo(source);
      expectCompleted(info, relay.agent);
      expect(into.used(info)).toBeGreaterThan(0);
      await expectArrived(source, destination);
      await relay.agent.until("stdout", out.outcome);
    });
  }
});
