import { askFor, MigrationError } from "@peregrine/protocol";
import { MigrationParameters, MigrationStatistics, PageMap, PassLog } from "@peregrine/shared-state";
import type {
  CarriedOpening,
  DriveAccess,
  GuestRam,
  OpenOutgoingDrives,
  OutgoingDrives,
  RamAccess,
} from "@peregrine/shared-state";
import { connect } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { setTimeout } from "node:timers/promises";
import { watchArrival } from "./arrival.ts";
import { AutoConverge } from "./auto-converge.ts";
import { BlockSender } from "./block-sender.ts";
import { now } from "./clock.ts";
import { DestinationWait } from "./destination-wait.ts";
import { HandoverGate } from "./handover-gate.ts";
import { Liveness } from "./liveness.ts";
import type { MainLink } from "./main-link.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { openPageSender } from "./open-page-sender.ts";
import { openRam } from "./open-ram.ts";
import type { PageSender } from "./page-sender.ts";
import { PrecopyLoop } from "./precopy-loop.ts";
import { RamSender } from "./ram-sender.ts";
import { PING, ReturnPathReader } from "./return-path-reader.ts";
import { SectionWriter } from "./section-writer.ts";
import { SilentPeer } from "./silent-peer.ts";
import { outgoingConfiguration } from "./stream-configuration.ts";
import { switchOver } from "./switchover.ts";
import type { Handover, SentDrives, ThreadData } from "./thread-messages.ts";

/** How long a destination that has broken one connection may take to end the main one, milliseconds. */
const LAST_WORDS_MS = 1000;

/** One attempt, as the migration thread sees it: its phases in their order. */
export class MigrationRun {
  readonly #data: ThreadData;
  readonly #link: MainLink;
  readonly #parameters: MigrationParameters;
  readonly #statistics: MigrationStatistics;
  #pages: PageSender | undefined;
  #blocks: BlockSender | undefined;
  /** Ends with what the destination says. Never rejects. */
  #listening: Promise<void> = Promise.resolve();
  #destination: ReturnPathReader | SilentPeer | undefined;
  #holdsChannel = false;
  #liveness: Liveness | undefined;

  constructor(data: ThreadData, link: MainLink) {
    this.#data = data;
    this.#link = link;
    this.#parameters = new MigrationParameters(data.parameters);
    this.#statistics = new MigrationStatistics(data.statistics);
  }

  /** Whether the destination has said that it does not have the guest. */
  get lacksGuest(): boolean {
    return this.#destination?.lacksGuest ?? false;
  }

  /**
   * Resolves when the destination has confirmed that it has the guest; if it is not to answer, when everything
   * is sent. The channels are closed either way.
   * Errors: why the migration failed or was given up.
   */
  async run(): Promise<Handover> {
    const channel = await this.#connect();
    const giveUp = (): void => {
      if (!this.#holdsChannel) channel.destroy(MigrationError.from(this.#link.signal.reason));
    };
    this.#link.signal.addEventListener("abort", giveUp);
    try {
      return await this.#migrate(channel);
    } catch (error) {
      // A write to a destination that has refused and closed fails; the refusal may still be unread.
      if (channel.error !== undefined) await this.#listening;
      // It comes on the main connection, which may end a moment after another one has failed.
      else if (this.#data.capabilities.multifd) await Promise.race([this.#listening, lastWordsMissed()]);
      // What gave up the attempt is the reason, whatever failed in consequence.
      this.#link.check();
      throw error;
    } finally {
      this.#liveness?.stop();
      await this.#pages?.close();
      await this.#blocks?.close();
      this.#link.signal.removeEventListener("abort", giveUp);
      channel.destroy();
      await channel.closed;
    }
  }

  async #connect(): Promise<Channel> {
    const signal = AbortSignal.any([this.#link.signal, AbortSignal.timeout(this.#data.timeouts.connect)]);
    const { uri, tls, timeouts } = this.#data;
    const channel = await connect(uri, { signal, tls, keepalive: timeouts.silence });
    if (this.#link.signal.aborted) channel.destroy();
    this.#link.check();
    return channel;
  }

  async #migrate(channel: Channel): Promise<Handover> {
    const link = this.#link;
    const begin = await link.ask({ kind: "connected" }, "begin");
    const { opening, arrived, releasesDrives } = begin;
    const gathering = await channel.gathering?.();
    const stream = new OutgoingStream(channel, this.#parameters, this.#statistics, now, gathering);
    const writer = new SectionWriter(stream, opening.footers);
    const destination = this.#listen(channel);

    if (destination instanceof ReturnPathReader) this.#watch(destination, channel, writer, stream);
    const start = now();
    await this.#open(writer, opening, destination);
    // The destination gets ready for guest memory while it is opened here.
    await stream.flush();
    const ram = await openRam(begin.ram);
    const map = new PageMap(ram.blocks);
    link.post({ kind: "page-map", access: map.access });
    const pages = await this.#openPages({ ram, map, ramAccess: begin.ram, stream, channel, opening });
    const drives = await this.#openDrives(begin.drives, stream, writer);
    const sections = [...drives, this.#ramSender(ram, map, pages, stream, writer)];
    for (const section of sections) await section.start();
    await stream.flush();
    this.#statistics.setupTime = Math.round(now() - start);
    link.post({ kind: "active" });

    const wait = new DestinationWait({
      peer: channel.peer,
      limit: this.#data.timeouts.confirm,
      speaksUp: () => destination instanceof ReturnPathReader && destination.extensions.alive,
      bandwidth: () => this.#statistics.bandwidth,
      now,
    });
    await new PrecopyLoop({
      sections,
      stream,
      parameters: this.#parameters,
      statistics: this.#statistics,
      destinationPrepared: () => wait.isOver(destination.prepared),
      caughtUp:
        destination instanceof ReturnPathReader
          ? () => wait.until(this.#caughtUp(destination, writer, stream, pages.broken))
          : undefined,
      switchOverWanted: () => link.switchOverWanted,
      arrived: watchArrival(arrived, () => link.wake()),
      check: () => {
        link.check();
        pages.check?.();
      },
      sleep: (ms) => link.sleep(ms),
      now,
    }).run();

    return switchOver({
      link,
      stream,
      writer,
      sections,
      destination,
      gate: new HandoverGate(this.#data.gate),
      statistics: this.#statistics,
      releasesDrives,
      timeouts: this.#data.timeouts,
      peer: channel.peer,
      endStream: () => channel.end(),
      holdChannel: (hold) => {
        this.#holdsChannel = hold;
      },
      revocable: channel.medium !== "connection",
      isFile: channel.medium === "file",
      now,
    });
  }

  async #caughtUp(
    destination: ReturnPathReader,
    writer: SectionWriter,
    stream: OutgoingStream,
    broken?: Promise<never>,
  ): Promise<void> {
    const caughtUp = destination.caughtUp();
    await writer.command({ kind: "ping", value: PING.catchUp });
    await stream.flush();
    // A destination that misses a connection may wait for what would come on it, and never answer.
    await this.#link.orAbort(broken === undefined ? caughtUp : Promise.race([caughtUp, broken]));
  }

  #watch(
    destination: ReturnPathReader,
    channel: Channel,
    writer: SectionWriter,
    stream: OutgoingStream,
  ): void {
    this.#liveness = new Liveness({
      peer: channel.peer,
      limit: this.#data.timeouts.silence,
      answered: () => destination.answered,
      extensions: () => destination.extensions,
      written: () => channel.bytesWritten,
      tell: () => {
        if (!writer.isBetween) return;
        // What cannot be written fails the next write, too.
        void writer
          .command({ kind: "alive" })
          .then(() => stream.flush())
          .catch(() => {});
      },
      silent: (error) => this.#link.fail(error),
      now,
    });
  }

  #listen(channel: Channel): ReturnPathReader | SilentPeer {
    const failed = (error: MigrationError): void => this.#link.fail(error);
    const answers = this.#data.capabilities["return-path"] && channel.medium === "connection";
    const destination = answers
      ? new ReturnPathReader({
          channel,
          asks: this.#data.extensions,
          agreed: ({ handOver }) => this.#link.post({ kind: "agreed", handOver }),
          acknowledges: this.#data.capabilities["switchover-ack"],
          failed,
          prepared: () => this.#link.wake(),
          heard: () => this.#liveness?.heard(),
        })
      : new SilentPeer({ channel, failed });
    if (!answers) this.#link.post({ kind: "agreed", handOver: false });
    this.#destination = destination;
    this.#listening = destination.run();
    return destination;
  }

  /** Everything in front of guest memory. */
  async #open(
    writer: SectionWriter,
    { configuration, early }: CarriedOpening,
    destination: ReturnPathReader | SilentPeer,
  ): Promise<void> {
    const answers = destination instanceof ReturnPathReader;
    const { capabilities } = this.#data;
    const announced = { ...capabilities, "switchover-ack": answers && capabilities["switchover-ack"] };
    await writer.header(outgoingConfiguration(configuration, announced));
    if (answers) {
      await writer.command({ kind: "open-return-path" });
      await writer.command({ kind: "ping", value: PING.hello });
      await writer.command({ kind: "ping", value: askFor(this.#data.extensions) });
    }
    await writer.sections(early);
    if (answers) await writer.command({ kind: "ping", value: PING.prepare });
  }

  async #openPages(parts: {
    readonly ram: GuestRam;
    readonly map: PageMap;
    readonly ramAccess: RamAccess;
    readonly stream: OutgoingStream;
    readonly channel: Channel;
    readonly opening: CarriedOpening;
  }): Promise<PageSender> {
    const pages = await openPageSender({
      ...parts,
      capabilities: this.#data.capabilities,
      parameters: this.#parameters,
      statistics: this.#statistics,
      uri: this.#data.uri,
      tls: this.#data.tls,
      connectTimeout: this.#data.timeouts.connect,
      keepalive: this.#data.timeouts.silence,
      signal: this.#link.signal,
      now,
    });
    this.#pages = pages;
    return pages;
  }

  async #openDrives(
    sent: SentDrives | undefined,
    stream: OutgoingStream,
    writer: SectionWriter,
  ): Promise<readonly BlockSender[]> {
    if (sent === undefined) return [];
    const link = this.#link;
    this.#blocks = new BlockSender({
      drives: await openDrives(sent.access),
      incremental: sent.incremental,
      zeroBlocks: this.#data.capabilities["zero-blocks"],
      stream,
      writer,
      statistics: this.#statistics,
      check: () => link.check(),
      sleep: (ms) => link.sleep(ms),
      now,
    });
    return [this.#blocks];
  }

  #ramSender(
    ram: GuestRam,
    map: PageMap,
    pages: PageSender,
    stream: OutgoingStream,
    writer: SectionWriter,
  ): RamSender {
    const link = this.#link;
    const autoConverge = new AutoConverge({
      settings: this.#parameters,
      isOn: this.#data.capabilities["auto-converge"],
      isWanted: () => link.convergenceWanted,
      throttle: (percentage) => link.post({ kind: "throttle", percentage }),
    });
    return new RamSender({
      ram,
      map,
      pages,
      stream,
      writer,
      statistics: this.#statistics,
      passes: new PassLog(this.#data.passes),
      now,
      onPass: (pass) => link.post({ kind: "pass", pass }),
      onDirtyPeriod: (period) => autoConverge.periodOver(period),
    });
  }
}

async function lastWordsMissed(): Promise<void> {
  await setTimeout(LAST_WORDS_MS, undefined, { ref: false });
}

/** Opens the guest's drives. Errors: as those of `openRam`; those of opening them. */
async function openDrives({ module, data }: DriveAccess): Promise<OutgoingDrives> {
  const { openOutgoingDrives: open } = (await import(module)) as {
    readonly openOutgoingDrives?: OpenOutgoingDrives;
  };
  if (open === undefined) throw new MigrationError("INTERNAL", `the module '${module}' does not open drives`);
  return open(data);
}
