import { encodeSelfAnnounce, parseMac } from "@peregrine/protocol";
import type { ReceivedEvent } from "@peregrine/monitor";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { pathOf } from "../../../examples/guests/guests.ts";
import { Host, migrate } from "../agent-process.ts";
import { AnswerWait } from "../answer-wait.ts";
import { CpuWait, wallClock } from "../cpu-wait.ts";
import { QemuHub } from "./lan.ts";
import type { SeenFrame } from "./lan.ts";
import { DatagramReceiver, StreamReceiver } from "./plain-receivers.ts";
import { noQemu, qemu100, qemu72 } from "./releases.ts";
import { LOOK_MS } from "./virtual-machine.ts";

/** Milliseconds from the first round to each one. */
const ROUNDS = [0, 50, 200, 450, 800];
/** Milliseconds that a round may be early or late, besides what threads wait for a processor. */
const TOLERANCE = 20;

/** One interface in each network. */
const MACS = {
  hubStream: "52:54:00:00:00:01",
  hubDatagrams: "52:54:00:00:00:02",
  plainStream: "52:54:00:00:00:03",
  plainDatagrams: "52:54:00:00:00:04",
  hubUnixDatagrams: "52:54:00:00:00:05",
} as const;

/** Frames of one interface. */
function of(mac: string, seen: readonly SeenFrame[]): SeenFrame[] {
  const frame = encodeSelfAnnounce(parseMac(mac));
  return seen.filter((one) => Buffer.compare(one.frame, frame) === 0);
}

function wallTime({ timestamp: { seconds, microseconds } }: ReceivedEvent): number {
  return seconds * 1000 + microseconds / 1000;
}

/** The five rounds, each at its time. `waited`: milliseconds, by every process between the guest and who has seen it. */
function expectRounds(times: readonly number[], waited: number): void {
  expect(times).toHaveLength(ROUNDS.length);
  times.forEach((time, round) => {
    expect(Math.abs(time - times[0]! - ROUNDS[round]!)).toBeLessThanOrEqual(TOLERANCE + waited);
  });
}

describe.skipIf(noQemu)("a guest that has arrived is announced", () => {
  it.for([qemu100, qemu72])(
    "in a network of QEMU $version, and to plain receivers",
    async (release, context) => {
      await using host = await Host.create();
      const stream = await new StreamReceiver().listen();
      const datagrams = await new DatagramReceiver().listen();
      const behindHub = await new DatagramReceiver().listen();
      const hub = await QemuHub.start(release, host.directory, behindHub.port);
      context.onTestFinished(async () => {
        for (const receiver of [stream, datagrams, behindHub]) receiver.close();
        await hub.end();
      });

      const netdevs = {
        hubStream: hub.stream,
        hubDatagrams: hub.datagrams,
        plainStream: stream.netdev,
        plainDatagrams: datagrams.netdev,
        hubUnixDatagrams: hub.unixDatagrams,
      };
      const nics = Object.entries(MACS).flatMap(([network, mac]) => [
        "--nic",
        `id=${network},mac=${mac},netdev=${netdevs[network as keyof typeof MACS]}`,
      ]);
      const source = await host.run(pathOf("console.wasm"), [], []);
      await source.until("stdout", /> $/u);
      const { agent, uri } = await host.receive("unix", nics);
      const rounds: ReceivedEvent[] = [];
      (await agent.monitor()).events.subscribe((event) => {
        if (event.event === "ANNOUNCE") rounds.push(event);
      });
      using sender = new CpuWait(agent.child.pid!);
      using switching = new CpuWait(hub.pid);
      using here = new CpuWait(process.pid);
      using answers = new AnswerWait(agent);

      const everywhere = async (): Promise<SeenFrame[][]> => [
        of(MACS.hubStream, await hub.seen("stream")),
        of(MACS.hubDatagrams, await hub.seen("datagrams")),
        of(MACS.plainStream, stream.seen),
        of(MACS.plainDatagrams, datagrams.seen),
        of(MACS.hubStream, behindHub.seen),
        of(MACS.hubUnixDatagrams, await hub.seen("stream")),
      ];
      expect((await everywhere()).flat()).toEqual([]);
      expect(await migrate(source, uri)).toMatchObject({ status: "completed" });
      while ((await everywhere()).some((seen) => seen.length < ROUNDS.length)) await delay(LOOK_MS);

      expect(rounds.map(({ data }) => data)).toEqual(
        ROUNDS.map((_, index) => ({
          guest: agent.name,
          round: index + 1,
          interfaces: Object.entries(MACS).map(([id, mac]) => ({ id, mac })),
        })),
      );
      // Of these waits, only those during the announcement count.
      const [begin, end] = [wallTime(rounds[0]!), wallClock()];
      const [relaying, receiving] = [switching, here].map((wait) => wait.between(begin, end));
      const sending = sender.between(begin, end) + answers.between(begin, end);
      expectRounds(rounds.map(wallTime), sending);
      const [onStream, onDatagrams, toStream, toDatagrams, relayed, onUnixDatagrams] = (
        await everywhere()
      ).map((seen) => seen.map(({ at }) => at));
      expectRounds(onStream!, sending + relaying!);
      expectRounds(onDatagrams!, sending + relaying!);
      expectRounds(onUnixDatagrams!, sending + relaying!);
      expectRounds(toStream!, sending + receiving!);
      expectRounds(toDatagrams!, sending + receiving!);
      expectRounds(relayed!, sending + relaying! + receiving!);

      const { interfaces } = await agent.execute<{ interfaces: unknown[] }>("x-peregrine-info");
      expect(interfaces).toEqual(
        Object.entries(MACS).map(([id, mac]) => expect.objectContaining({ id, mac, sent: 5, lost: 0 })),
      );
    },
  );
});
