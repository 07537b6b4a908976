import { describe, expect, it } from "vitest";
import type { PeregrineProcess } from "../agent-process.ts";
import {
  expectArrived,
  expectCompleted,
  expectRunning,
  hasEnded,
  letGo,
  send,
  sendSlowly,
} from "./journey.ts";
import { Lab } from "./lab.ts";
import { withReleases } from "./matrix.ts";
import { noQemu, qemu100, type QemuRelease } from "./releases.ts";
import { intake } from "./settings.ts";
import type { MigrationInfo, VirtualMachine } from "./virtual-machine.ts";

const { plain, returnPath } = intake;

/** Bytes per second: a guest that gets no processor for the time that a pass takes could be moved. */
const SLOWER = { parameters: { "max-bandwidth": 8 << 20 } };

/** The source has its guest, and a relay to a new destination works. */
async function expectRunsOn(lab: Lab, source: VirtualMachine, release: QemuRelease): Promise<void> {
  await expectRunning(source);
  const destination = await lab.start("held", { release, type: "pc", devices: true });
  const { agent, uri } = await lab.relay(await destination.listen(), {});
  expectCompleted(await send(source, uri, returnPath.source), agent);
  await expectArrived(source, destination);
}

interface Parts {
  readonly lab: Lab;
  readonly source: VirtualMachine;
  readonly relay: PeregrineProcess;
  readonly destination: VirtualMachine;
}

/** What ends a relay, and how its source sees that. */
const interruptions: readonly {
  readonly what: string;
  readonly act: (parts: Parts) => Promise<unknown>;
  readonly status: RegExp;
}[] = [
  { what: "the destination dies", act: ({ destination }) => destination.end(), status: /^failed$/ },
  { what: "the relay dies", act: ({ relay }) => relay.end(), status: /^failed$/ },
  {
    what: "it is cancelled",
    act: ({ lab, relay }) => lab.peregrine("cancel", relay.name),
    status: /^failed$/,
  },
  {
    what: "the source cancels it",
    act: ({ source }) => source.execute("migrate_cancel"),
    // A QEMU closes its return path first, and sometimes takes that for a failure: between two of them, too.
    status: /^(?:cancelled|failed)$/,
  },
];

/** Destinations that do not fit: one says so at once, the other one when the guest stands still. */
const misfits = [
  { what: "machine type", options: { type: "q35", devices: true } },
  { what: "devices", options: { type: "pc" } },
];

describe.skipIf(noQemu).concurrent("a relay that fails leaves the guest running at the source:", () => {
  for (const { what, act, status, release } of withReleases(interruptions)) {
    it(`${what}, ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, destination] = await Promise.all([
        lab.start("boot", { release, type: "pc", devices: true }),
        lab.start("incoming", { release, type: "pc", devices: true }),
      ]);
      const { agent: relay, uri } = await lab.relay(await destination.listen(), {});
      await source.untilPrinted(1);
      await sendSlowly(source, uri, { ...returnPath.source, ...SLOWER });
      await act({ lab, source, relay, destination });
      const info = await letGo(source);
      expect(info.status, `${relay.stderr.text}${JSON.stringify(info)}`).toMatch(status);
      await Promise.all([relay.ended, destination.ended]);
      await expectRunsOn(lab, source, release);
    });
  }

  for (const { what, options, release } of withReleases(misfits)) {
    it(`the destination refuses its ${what}, ${release.version}`, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, destination] = await Promise.all([
        lab.start("boot", { release, type: "pc", devices: true }),
        lab.start("incoming", { release, ...options }),
      ]);
      const relay = await lab.relay(await destination.listen(), {});
      await source.untilPrinted(1);
      expect(await send(source, relay.uri, returnPath.source)).toMatchObject({ status: "failed" });
      expect(await relay.agent.ended).toMatchObject({ status: 1 });
      expect(relay.agent.stderr.text).toMatch(/^peregrine: (PEER_REFUSED|CHANNEL_FAILED): .*its own log/m);
      await expectRunsOn(lab, source, release);
    });
  }
});

describe.skipIf(noQemu)("a relay whose source waits for no answer", () => {
  it("holds a guest that its destination does not take", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const options = { release: qemu100, type: "pc" };
    const [source, dying, destination] = await Promise.all([
      lab.start("boot", options),
      lab.start("incoming", options),
      lab.start("held", options),
    ]);
    const relay = await lab.relay(await dying.listen(), {});
    await source.untilPrinted(1);
    await sendSlowly(source, relay.uri, { ...plain.source, ...SLOWER });
    await dying.end();
    expectCompleted(await letGo(source), relay.agent);
    await relay.agent.until("stderr", /it is held here/);
    await lab.migrate(relay.agent, await destination.listen());
    await expectArrived(source, destination);
  });
});

const MIB = 1 << 20;

describe.skipIf(noQemu)("a relay over a thin link", () => {
  it("sends deltas of the pages that the source sends again", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const options = { release: qemu100, type: "pc" };
    const [source, destination] = await Promise.all([lab.start("boot", options), lab.start("held", options)]);
    const thin = ["--xbzrle", "--bandwidth", "8M", "--json"];
    const relay = await lab.relay(await destination.listen(), {}, thin);
    await source.untilPrinted(1);
    await sendSlowly(source, relay.uri, returnPath.source);
    // The guest changes 11 MiB.
    const transferred = ({ ram }: MigrationInfo): number => ram?.["transferred"] ?? 0;
    await source.migration((info) => hasEnded(info) || transferred(info) > 30 * MIB);
    const info = await letGo(source);
    expectCompleted(info, relay.agent);
    await expectArrived(source, destination);
    expect(await relay.agent.ended).toMatchObject({ status: 0 });
    const outcome = relay.agent.stdout.text.trim().split("\n").at(-1)!;
    const sentOn = JSON.parse(outcome) as { transferred: number };
    expect(sentOn.transferred).toBeLessThan(20 * MIB);
    expect(transferred(info)).toBeGreaterThan(30 * MIB);
  });
});
