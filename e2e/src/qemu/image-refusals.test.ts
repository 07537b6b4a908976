import { describe, expect, it } from "vitest";
import { expectArrived, expectCompleted, expectRunning, send, sendSlowly } from "./journey.ts";
import { Lab } from "./lab.ts";
import { noQemu, qemu100, qemu72, type QemuRelease } from "./releases.ts";
import { intake } from "./settings.ts";
import type { MigrationSettings } from "./virtual-machine.ts";

/** Destinations that do not fit a machine of type `pc` with more devices, and what they say. */
const misfits = [
  {
    what: "its machine type",
    options: { type: "q35", devices: true },
    reason: /Machine type received is 'pc-i440fx-.*' and local is 'pc-q35-.*'/,
  },
  { what: "its devices", options: { type: "pc" }, reason: /Unknown savevm section or instance/ },
];

describe.skipIf(noQemu).concurrent("an image stays when a QEMU refuses it, and another one takes it:", () => {
  for (const release of [qemu100, qemu72]) {
    for (const { what, options, reason } of misfits) {
      it(`${what}, ${release.version}`, async ({ onTestFinished }) => {
        const lab = await Lab.create(onTestFinished);
        const [source, wrong, right, image] = await Promise.all([
          lab.start("boot", { release, type: "pc", devices: true }),
          lab.start("incoming", { release, ...options }),
          lab.start("held", { release, type: "pc", devices: true }),
          lab.receiveImage({}),
        ]);
        await source.untilPrinted(1);
        expectCompleted(await send(source, image.uri, intake.returnPath.source), image.agent);
        await image.agent.until("stderr", /is held here/);
        const refused = lab.migrate(image.agent, await wrong.listen());
        await expect(refused).rejects.toThrow(/^peregrine: (PEER_REFUSED|CHANNEL_FAILED): .*its own log/);
        await wrong.ended;
        expect(wrong.stderr.text).toMatch(reason);
        await lab.migrate(image.agent, await right.listen());
        await expectArrived(source, right);
      });
    }
  }
});

interface Refusal {
  readonly what: string;
  readonly release: QemuRelease;
  readonly settings: MigrationSettings;
  readonly options?: readonly string[];
  readonly sentence: RegExp;
}

const refusals: readonly Refusal[] = [qemu100, qemu72].flatMap((release) => [
  {
    what: "postcopy",
    release,
    settings: { capabilities: ["postcopy-ram"] },
    sentence: /postcopy-ram/,
  },
  {
    what: "memory that is not in the stream",
    release,
    settings: { capabilities: ["x-ignore-shared"] },
    sentence: /x-ignore-shared/,
  },
  {
    what: "more memory than allowed",
    release,
    settings: { capabilities: ["return-path"] },
    options: ["--max-ram", "8M"],
    sentence: /LIMIT_EXCEEDED/,
  },
]);

/** Release 9.1 has removed it. */
const disks: Refusal = {
  what: "the contents of disks",
  release: qemu72,
  settings: { capabilities: ["block"] },
  sentence: /Section 'block' 0 holds the contents of disks/,
};

describe
  .skipIf(noQemu)
  .concurrent("what cannot be held is refused, and the guest runs on at its source:", () => {
    for (const { what, release, settings, options, sentence } of [...refusals, disks]) {
      it(`${what}, ${release.version}`, async ({ onTestFinished }) => {
        const lab = await Lab.create(onTestFinished);
        const [source, { agent, uri }] = await Promise.all([
          lab.start("boot", { release, type: "pc" }),
          lab.receiveImage({}, options),
        ]);
        await source.untilPrinted(1);
        expect(await send(source, uri, settings)).toMatchObject({ status: "failed" });
        expect(await agent.ended).toMatchObject({ status: 1 });
        expect(agent.stderr.text).toMatch(sentence);
        await expectRunning(source);
      });
    }

    it("a source that dies", async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const [source, { agent, uri }] = await Promise.all([
        lab.start("boot", { release: qemu100, type: "pc" }),
        lab.receiveImage({}),
      ]);
      await source.untilPrinted(1);
      await sendSlowly(source, uri);
      await source.end();
      expect(await agent.ended).toMatchObject({ status: 1 });
      expect(agent.stderr.text).toMatch(/ended in|TRUNCATED|CHANNEL_FAILED/);
    });
  });

describe.skipIf(noQemu)("an image", () => {
  it("is listed, described and inspected", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const [source, { agent, uri }] = await Promise.all([
      lab.start("boot", { release: qemu72, type: "pc", devices: true }),
      lab.receiveImage({}),
    ]);
    await source.untilPrinted(1);
    expectCompleted(await send(source, uri, intake.xbzrle.source), agent);
    await agent.until("stderr", /is held here/);
    expect(await lab.peregrine("list")).toContain(agent.name);
    expect(await lab.peregrine("info", agent.name)).toContain("pc-i440fx-7.2");
    const inspected = await lab.peregrine("inspect", agent.name);
    expect(inspected).toContain("pc-i440fx-7.2");
    expect(inspected).toContain("virtio-net");
  });
});
