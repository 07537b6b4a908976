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

  it("x509, 7.2 to 10.0 by a relay, which lets in only whom it knows", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const tls = await TlsLab.create(lab, "x509");
    const type = "pc-i440fx-7.2";
    const [source, destination] = await Promise.all([
      lab.start("boot", { release: qemu72, type }),
      lab.start("held", { release: qemu100, type }),
    ]);
    await Promise.all([tls.prepare(source, "client"), tls.prepare(destination, "server")]);
    const uri = await destination.listen("tcp");
    const who = ["--object", `authz-simple,id=who,identity=${CLIENT_NAME.replaceAll(",", ",,")}`];
    const into = { ...intake.returnPath, transport: "tcp" } as const;
    const relay = await lab.relay(uri, into, [...tls.relays, ...who, "--intake-tls-authz", "who"]);
    await source.untilPrinted(1);
    expectCompleted(await send(source, relay.uri, into.source), relay.agent);
    await expectArrived(source, destination);
  });

  it("x509, and each side refuses the other one without harm", async ({ onTestFinished }) => {
    const lab = await Lab.create(onTestFinished);
    const tls = await TlsLab.create(lab, "x509");
    const type = "pc";
    const nobody = { "qom-type": "authz-simple", id: "who", identity: "CN=nobody" };
    const [source, destination, image] = await Promise.all([
      lab.start("boot", { release: qemu100, type }),
      lab.start("held", { release: qemu100, type }),
      lab.receiveImage({ transport: "tcp" }, [
        ...tls.receives,
        "--object",
        "authz-list,id=who,rules.0.match=*CN=mover,rules.0.format=glob,rules.0.policy=allow",
        "--tls-authz",
        "who",
      ]),
    ]);
    await Promise.all([tls.prepare(source, "client"), tls.prepare(destination, "server")]);
    await source.untilPrinted(1);

    await source.configure({ parameters: { "tls-creds": "" } });
    await source.execute("migrate", { uri: image.uri });
    await image.agent.until("stderr", /TLS_FAILED: .+ what came is no TLS/);
    await source.migration(({ status }) => status === "failed");
    await source.configure({ parameters: { "tls-creds": "tls0" } });
    expectCompleted(await send(source, image.uri), image.agent);
    await image.agent.until("stderr", /is held here/);

    await destination.execute("object-add", nobody);
    await destination.configure({ parameters: { "tls-authz": "who" } });
    const uri = await destination.listen("tcp");
    await expect(lab.migrate(image.agent, uri, tls.sends)).rejects.toThrow(/CHANNEL_CUT|CHANNEL_FAILED/);
    await destination.execute("object-del", { id: "who" });
    await destination.execute("object-add", { ...nobody, identity: CLIENT_NAME });
    await lab.migrate(image.agent, uri, tls.sends);
    await expectArrived(source, destination);
  });
});
