import { MigrationError } from "@peregrine/protocol";
import { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import type { GuestRam, OpenRam, RamAccess, SavedDevice } from "@peregrine/shared-state";
import { connect } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { now } from "./clock.ts";
import type { DowntimeBreakdown } from "./downtime.ts";
import { HandoverGate } from "./handover-gate.ts";
import type { LiveSection } from "./live-section.ts";
import type { MainLink } from "./main-link.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { PrecopyLoop } from "./precopy-loop.ts";
import { RamSender } from "./ram-sender.ts";
import { PING, ReturnPathReader } from "./return-path-reader.ts";
import { SectionWriter } from "./section-writer.ts";
import { switchOver } from "./switchover.ts";
import type { ThreadData } from "./thread-messages.ts";

/** One attempt, as the migration thread sees it: its phases in their order. */
export class MigrationRun {
  readonly #data: ThreadData;
  readonly #link: MainLink;
  readonly #parameters: MigrationParameters;
  readonly #statistics: MigrationStatistics;
  /** Ends with the return path. Never rejects. */
  #listening: Promise<void> = Promise.resolve();

  constructor(data: ThreadData, link: MainLink) {
    this.#data = data;
    this.#link = link;
    this.#parameters = new MigrationParameters(data.parameters);
    this.#statistics = new MigrationStatistics(data.statistics);
  }

  /**
   * Resolves when the destination has confirmed that it has the guest. The channel is closed either way.
   * Errors: why the migration failed or was given up.
   */
  async run(): Promise<DowntimeBreakdown> {
    const channel = await this.#connect();
    const giveUp = (): void => channel.destroy(MigrationError.from(this.#link.signal.reason));
    this.#link.signal.addEventListener("abort", giveUp);
    try {
      return await this.#migrate(channel);
    } catch (error) {
      // A write to a destination that has refused and closed fails; the refusal may still be unread.
      if (channel.error !== undefined) await this.#listening;
      // What gave up the attempt is the reason, whatever failed in consequence.
      this.#link.check();
      throw error;
    } finally {
      this.#link.signal.removeEventListener("abort", giveUp);
      channel.destroy();
    }
  }

  async #connect(): Promise<Channel> {
    const signal = AbortSignal.any([this.#link.signal, AbortSignal.timeout(this.#data.timeouts.connect)]);
    const channel = await connect(this.#data.uri, { signal });
    this.#link.check();
    return channel;
  }

  async #migrate(channel: Channel): Promise<DowntimeBreakdown> {
    const link = this.#link;
    const { ram: access, early } = await link.ask({ kind: "connected" }, "begin");
    const ram = await openRam(access);
    const stream = new OutgoingStream(channel, this.#parameters, this.#statistics, now);
    const writer = new SectionWriter(stream);
    const returnPath = this.#listen(channel);
    const sections = await this.#setUp(stream, writer, ram, early);
    link.post({ kind: "active" });

    await new PrecopyLoop({
      sections,
      stream,
      parameters: this.#parameters,
      statistics: this.#statistics,
      destinationPrepared: () => returnPath.prepared,
      check: () => link.check(),
      sleep: (ms) => link.sleep(ms),
      now,
    }).run();

    return switchOver({
      link,
      stream,
      writer,
      sections,
      returnPath,
      gate: new HandoverGate(this.#data.gate),
      statistics: this.#statistics,
      timeouts: this.#data.timeouts,
      peer: channel.peer,
      endStream: () => channel.end(),
      now,
    });
  }

  #listen(channel: Channel): ReturnPathReader {
    const returnPath = new ReturnPathReader({
      channel,
      failed: (error) => this.#link.fail(error),
      prepared: () => this.#link.wake(),
    });
    this.#listening = returnPath.run();
    return returnPath;
  }

  /** Everything before the first page. */
  async #setUp(
    stream: OutgoingStream,
    writer: SectionWriter,
    ram: GuestRam,
    early: readonly SavedDevice[],
  ): Promise<readonly LiveSection[]> {
    const start = now();
    await writer.header(this.#data.machineType);
    await writer.command({ kind: "open-return-path" });
    await writer.command({ kind: "ping", value: PING.hello });
    await writer.devices(early);
    await writer.command({ kind: "ping", value: PING.prepare });
    const sections: readonly LiveSection[] = [
      new RamSender({
        ram,
        stream,
        statistics: this.#statistics,
        sectionId: writer.takeId(),
        now,
        onPass: (pass) => this.#link.post({ kind: "pass", pass }),
      }),
    ];
    for (const section of sections) await section.start();
    await stream.flush();
    this.#statistics.setupTime = Math.round(now() - start);
    return sections;
  }
}

/** Opens guest memory. Errors: INTERNAL when the module is not what it should be. */
async function openRam({ module, data }: RamAccess): Promise<GuestRam> {
  const { openRam: open } = (await import(module)) as { readonly openRam?: OpenRam };
  if (open === undefined) {
    throw new MigrationError("INTERNAL", `the module '${module}' does not open guest memory`);
  }
  return open(data);
}
