import {
  askedFor,
  MigrationError,
  PAGE_RECORD_BYTES,
  RAM_SECTION,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import type {
  Command,
  Configuration,
  Limits,
  OpaqueDevice,
  PageKernel,
  PayloadDecoder,
  SectionHeader,
  StreamHandler,
} from "@peregrine/protocol";
import type { LoopTurn } from "@peregrine/transport";
import { unsupportedCommand } from "./command-refusals.ts";
import { awaitsSwitchoverAck, isMappedRam, requireLoadable } from "./configuration-check.ts";
import { inflatePage } from "./decompressors.ts";
import type { ExpectedPages } from "./expected-pages.ts";
import { HandOver } from "./hand-over.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import type { MachineLoader, Step } from "./machine-loader.ts";
import type { MultifdReceiver } from "./multifd-receiver.ts";
import { RamLoader } from "./ram-loader.ts";
import type { ReturnPath } from "./return-path.ts";

export interface StreamLoaderOptions {
  readonly machine: MachineLoader;
  readonly limits: Limits;
  readonly returnPath: ReturnPath;
  readonly statistics: IncomingStatistics;
  readonly interruption: Interruption;
  /** Whether the source is told that it can switch over, also if it does not say that it waits for that. */
  readonly switchoverAck: () => boolean;
  /** The channels beside this stream. Default: there are none. */
  readonly multifd?: MultifdReceiver | undefined;
  /** What the source says about who has the guest. Default: a new one. */
  readonly handOver?: HandOver | undefined;
  /** In whose work memory the chunks lie. Default: records are decoded one by one. */
  readonly kernel?: PageKernel | undefined;
  /** Reads pages to where they belong. Default: all of them come in chunks. */
  readonly expected?: ExpectedPages | undefined;
  /** Offset in its file of the stream's first byte. Default: the stream does not come from a file. */
  readonly fileOffset?: number | undefined;
}

/** How far a stream is. */
export type StreamProgress =
  /** Bytes are missing. */
  | "to-come"
  /** Device sections are held; their footers, or nothing, will tell them apart if no vmdescription follows. */
  | "held"
  | "held-without-footers"
  /** Behind the end mark, where a vmdescription may follow. */
  | "end-mark"
  | "description";

/** Loads a stream into a machine as it is decoded. Pages are written at once. */
export class StreamLoader implements StreamHandler {
  readonly #options: StreamLoaderOptions;
  readonly #handOver: HandOver;
  readonly #decoder: StreamDecoder;
  #ram: RamLoader | undefined;
  #mapped = false;
  /** The source waits to be told that it can switch over. */
  #awaitsAck = false;
  /** Whether `ram` says by flush records where the multifd channels meet; if not, they do after each of its sections. */
  #flushRecords = false;
  /** What has to be done before decoding goes on. */
  #step: Step | undefined;
  #end: "to-come" | "end-mark" | "description" = "to-come";

  constructor(options: StreamLoaderOptions) {
    this.#options = options;
    this.#handOver = options.handOver ?? new HandOver(options.returnPath);
    const { limits, machine } = options;
    this.#decoder = new StreamDecoder({ limits, handler: this, ...machine.leaves });
  }

  get progress(): StreamProgress {
    if (!this.#decoder.holds) return this.#end;
    return this.#decoder.footers === "present" ? "held" : "held-without-footers";
  }

  /** Whether nothing has come in part: the next byte begins a section or a command, or the stream is complete. */
  get rests(): boolean {
    return this.#decoder.rests;
  }

  /**
   * Loads what the chunk completes. Undefined when the chunk is consumed and there is room for the next one, as with most
   * of a stream; otherwise a promise for that.
   */
  push(chunk: Uint8Array): Promise<void> | undefined {
    if (!this.#decoder.push(chunk)) return this.#goOn().then(() => this.#room());
    return this.#room();
  }

  /**
   * Behind a {@link push} that has consumed its chunk: while pages come one after the other, those that have come by now are
   * read to where they belong until the turn is over, and the next chunk is bounded so that more can be. @returns as `push`.
   */
  readExpected(turn: LoopTurn): Promise<void> | undefined {
    const { expected } = this.#options;
    if (expected === undefined) return undefined;
    while (!turn.isOver) {
      const missing = this.#decoder.bytesToRecord;
      const run = missing === undefined ? undefined : this.#ram?.expectedRun;
      if (missing === undefined || run === undefined) return undefined;
      if (missing > 0) {
        expected.boundNext(missing);
        return undefined;
      }
      const { bytes, pages, rest } = expected.read(run);
      this.#options.statistics.addBytes(bytes);
      if (pages > 0) {
        this.#ram?.expectedArrived(pages);
        this.#decoder.passRecords(pages * PAGE_RECORD_BYTES);
      }
      const pushed = rest.length === 0 ? undefined : this.push(rest);
      if (pushed !== undefined) return pushed;
      if (bytes < run.count * PAGE_RECORD_BYTES) break;
    }
    // With a record's bytes, or the rest of one, whoever waits is told that there is more.
    const missing = this.#decoder.bytesToRecord;
    if (missing !== undefined) expected.boundNext(missing || PAGE_RECORD_BYTES);
    return undefined;
  }

  /** Nothing has come for a while. @returns whether the stream is complete without more; it ends here then. */
  async quiet(): Promise<boolean> {
    if (!this.#options.machine.holdsDevices) return this.#end !== "to-come";
    if (!this.#decoder.settle()) return false;
    await this.#goOn();
    return true;
  }

  /** The stream has ended. Errors: TRUNCATED. */
  async streamEnded(): Promise<void> {
    while (!this.#decoder.end()) await this.#goOn();
  }

  configuration(configuration: Configuration): void {
    const { machine, fileOffset } = this.#options;
    requireLoadable(configuration, fileOffset !== undefined);
    this.#mapped = isMappedRam(configuration);
    this.#awaitsAck = awaitsSwitchoverAck(configuration);
    this.#suspendFor(machine.configuration(configuration));
  }

  open(header: SectionHeader): PayloadDecoder | OpaqueDevice {
    if (!isRam(header)) return this.#options.machine.openDevice(header, (step) => this.#suspendFor(step));
    const { limits, machine, statistics, multifd, kernel, fileOffset } = this.#options;
    const flush = (): void => this.#flush();
    const ram = new RamLoader(machine.startRam(header), statistics, flush, kernel);
    this.#ram = ram;
    multifd?.attach(() => ram.listed());
    return new RamDecoder({
      limits,
      sink: ram,
      blockListForm: { mapped: this.#mapped },
      kernel,
      ...(fileOffset === undefined ? {} : { fileOffset }),
      inflate: inflatePage,
    });
  }

  payloadEnd(header: SectionHeader): void {
    if (!isRam(header)) return;
    if (header.kind === "start") this.#ram?.requireBlockList();
    this.#suspendFor(() => this.#meetChannels(header.kind));
  }

  close(header: SectionHeader): void {
    if (isRam(header)) this.#closeRam(header.kind);
    else this.#suspendFor(this.#options.machine.closeDevice(header));
  }

  command(command: Command): void {
    const { returnPath } = this.#options;
    switch (command.kind) {
      case "open-return-path":
        returnPath.open();
        return;
      case "ping":
        this.#ping(command.value);
        return;
      case "hand-over":
        this.#handOver.hear(command);
        return;
      case "alive":
        return;
      case "switchover-start":
        // The guest stands still at the source. Nothing here has to know.
        return;
      default:
        throw unsupportedCommand(command);
    }
  }

  #ping(value: number): void {
    const { returnPath, machine } = this.#options;
    const asked = askedFor(value);
    if (asked === undefined) returnPath.pong(value, machine.prepared);
    else returnPath.agree(asked);
  }

  endMark(): void {
    this.#options.machine.endMark();
    this.#options.statistics.endMark();
    this.#end = "end-mark";
  }

  vmDescription(text: string): void {
    this.#options.machine.vmDescription(text);
    this.#end = "description";
  }

  #suspendFor(step: Step | undefined): void {
    if (step === undefined) return;
    this.#step = step;
    this.#decoder.suspend();
  }

  /** Does what the decoder was suspended for, until it has consumed what is on hand. */
  async #goOn(): Promise<void> {
    do {
      const step = this.#step;
      this.#step = undefined;
      if (step !== undefined) await this.#options.interruption.wait(step());
    } while (!this.#decoder.resume());
  }

  #room(): Promise<void> | undefined {
    const room = this.#ram?.room();
    return room === undefined ? undefined : this.#options.interruption.wait(room);
  }

  #flush(): void {
    const { multifd } = this.#options;
    if (multifd === undefined) throw multifdIsOff();
    this.#flushRecords = true;
    this.#suspendFor(() => multifd.meet());
  }

  /** Channels meet here, not behind the footer: it comes with the next section, for which the source may need them. */
  async #meetChannels(kind: SectionHeader["kind"]): Promise<void> {
    const { multifd } = this.#options;
    if (!this.#flushRecords) await multifd?.meet();
    if (kind === "end") multifd?.memoryComplete();
  }

  #closeRam(kind: SectionHeader["kind"]): void {
    const { machine, multifd, returnPath } = this.#options;
    if (kind === "end") machine.endRam();
    if (kind !== "start") return;
    if (this.#awaitsAck || this.#options.switchoverAck()) returnPath.acknowledge(machine.prepared);
    this.#suspendFor(() =>
      machine.ramStarted({
        footers: this.#decoder.footers === "present",
        returnPath: returnPath.isOpen,
        asksHandOver: returnPath.isAskedForHandOver,
        uuid: multifd?.uuid,
      }),
    );
  }
}

function isRam({ name, instance }: SectionHeader): boolean {
  return name === RAM_SECTION.name && instance === RAM_SECTION.instance;
}

/** Most of memory would come on channels that nobody reads. */
export function multifdIsOff(): MigrationError {
  return new MigrationError(
    "LOAD_FAILED",
    "The source sends memory over multifd channels, which are off here: set multifd-channels as at the source",
  );
}
