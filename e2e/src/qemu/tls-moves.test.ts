import { describe, expect, it } from "vitest";
import { expectArrived, expectCompleted, send } from "./journey.ts";
import { Lab } from "./lab.ts";
import type { Move } from "./matrix.ts";
import { noQemu, qemu100, qemu72, type QemuRelease } from "./releases.ts";
import { intake, outgoing } from "./settings.ts";
import { CLIENT_NAME, TlsLab, type TlsKind } from "./tls-settings.ts";
import type { Transport } from "./virtual-machine.ts";

interface Case extends Move {
  readonly kind: TlsKind;
  readonly from: QemuRelease;
  readonly to: QemuRelease;
  readonly transport: Transport;
}

const cases: readonly Case[] = [
  {
    kind: "x509",
    from: qemu72,
    to: qemu72,
    type: "pc",
    into: intake.plain,
    out: outgoing.plain,
    transport: "tcp",
  },
  {
    kind: "x509",
    from: qemu72,
    to: qemu100,
    type: "pc-q35-7.2",
    into: intake.none,
    out: outgoing.zstd,
    transport: "tcp",
  },
  {
    kind: "x509",
    from: qemu100,
    to: qemu100,
    type: "q35",
    into: intake.zstd,
    out: outgoing.noReturnPath,
    transport: "unix",
  },
  {
    kind: "psk",
    from: qemu72,
    to: qemu72,
    type: "pc",
    into: intake.returnPath,
    out: outgoing.none,
    transport: "unix",
  },
  {
    kind: "psk",
    from: qemu100,
    to: qemu100,
    type: "pc",
    into: intake.none,
    out: outgoing.plain,
    transport: "tcp",
  },
];

describe.skipIf(noQemu).concurrent("a virtual machine moves over TLS:", () => {
  for (const { kind, from, to, type, into, out, transport } of cases) {
    const title = `${kind}, ${from.version} to ${to.version}, ${into.name} in, ${out.name} out, ${transport}`;
    it(title, async ({ onTestFinished }) => {
      const lab = await Lab.create(onTestFinished);
      const tls = await TlsLab.create(lab, kind);
      const [source, destination, image] = await Promise.all([
        lab.start("boot", { release: from, type }),
        lab.start("incoming", { release: to, type }),
        lab.receiveImage({ ...into, transport }, tls.receives),
      ]);
      await Promise.all([tls.prepare(source, "client"), tls.prepare(destination, "server")]);
      await destination.configure(out.destination);
      const uri = await destination.listen(transport);
      await source.untilPrinted(1);
      const info = await send(source, image.uri, into.source);
      expectCompleted(info, image.agent);
      expect(into.used(info)).toBeGreaterThan(0);
      await image.agent.until("stderr", /is held here/);
      await lab.migrate(image.agent, uri, [...out.options, ...tls.sends]);
      await expectArrived(source, destination);
    });
  }
});
