import { NetworkNamespace, noNamespaces } from "@peregrine/transport/testing/network-namespace";
import { describe, expect, it } from "vitest";
import { expectRunning, letGo, sendSlowly } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100 } from "./releases.ts";
import { intake } from "./settings.ts";

/** Seconds: what is asked for, and what everything else may take on a machine with other work. */
const KEEPALIVE = 3;
const MARGIN = 4;

describe.skipIf(noQemu || noNamespaces)(
  "a link that dies without a word, to a QEMU that says nothing",
  () => {
    it("fails the migration within the keepalive time, and the guest runs on", async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const host = await NetworkNamespace.create();
      onTestFinished(() => host[Symbol.asyncDispose]());
      const options = { release: qemu100, type: "pc" };
      const [source, destination] = await Promise.all([
        lab.start("boot", options),
        lab.start("incoming", { ...options, prefix: host.prefix }),
      ]);
      const { agent, uri } = await lab.relay(await destination.listen("tcp", host.address), {}, [
        "--keepalive",
        String(KEEPALIVE),
      ]);
      await source.untilPrinted(1);
      await sendSlowly(source, uri, intake.returnPath.source);
      await host.cut();
      const start = performance.now();
      expect(await letGo(source)).toMatchObject({ status: "failed" });
      const { status } = await agent.ended;
      const seconds = (performance.now() - start) / 1000;
      expect(status).toBe(1);
      expect(agent.stderr.text).toMatch(/^peregrine: PEER_SILENT: .*failed: nothing has come back for 3 s/mu);
      expect(seconds).toBeLessThan(KEEPALIVE + MARGIN);
      await expectRunning(source);
      expect(await destination.status()).toBe("inmigrate");
    });
  },
);
