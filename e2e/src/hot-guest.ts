import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, startMigration } from "./agent-process.ts";

const torture = guests.find(({ name }) => name === "torture")!;

/** What the agent told at one moment of a pass. */
export interface HotSample {
  readonly pass: number;
  /** Bytes of guest memory that were dirty when the pass began. */
  readonly rest: number;
  /** Bytes per millisecond on the wire, in the last period of 100 ms. */
  readonly wireRate: number;
}

export interface HotMove {
  readonly status: string;
  /** From `migrate` to its end, as the source measures it. */
  readonly seconds: number;
  /** While the guest ran, from the second pass on. */
  readonly samples: readonly HotSample[];
  /** Pages sent as deltas. */
  readonly deltas: number;
}

interface Info {
  /** Of the guest. */
  readonly status: string;
  readonly migration: {
    readonly status: string;
    readonly "total-time"?: number;
    readonly "xbzrle-cache"?: { readonly pages: number };
  };
  readonly progress: { readonly pass: number; readonly passTotal: number; readonly sendRate: number };
}

/**
 * Moves a guest that writes to one byte of each of its 10 496 pages again and again, as fast as it can, with deltas and
 * a limit. All that is left of a pass is a few bytes for each page, and all of its pages are dirty again by then.
 * @param downtime milliseconds.
 * @param bandwidth bytes per second.
 * @param isSeen it does not come to its end before there is a sample. The time says nothing then.
 */
export async function moveHotGuest(downtime: number, bandwidth: number, isSeen = false): Promise<HotMove> {
  await using host = await Host.create();
  const args = ["--mib", "41", "--rate", "0", "--sweeps", "0", "--every", "50"];
  const agent = await host.run(pathOf(torture.file), [], args);
  const { uri } = await host.receive("unix");
  await agent.until("stdout", /sweep/);
  await agent.execute("migrate-set-capabilities", { capabilities: [{ capability: "xbzrle", state: true }] });
  await startMigration(agent, uri, { bandwidth, downtime: isSeen ? 0 : downtime });
  const samples: HotSample[] = [];
  for (;;) {
    const { migration, progress, status: runState } = await agent.execute<Info>("x-peregrine-info");
    const { status } = migration;
    if (status !== "setup" && status !== "active") {
      const seconds = (migration["total-time"] ?? 0) / 1000;
      return { status, seconds, samples, deltas: migration["xbzrle-cache"]?.pages ?? 0 };
    }
    const { pass, passTotal, sendRate } = progress;
    if (pass > 1 && runState === "running") {
      samples.push({ pass, rest: passTotal, wireRate: sendRate / 1000 });
      if (isSeen && samples.length === 1)
        await agent.execute("migrate-set-parameters", { "downtime-limit": downtime });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
