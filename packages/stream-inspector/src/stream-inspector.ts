import {
  decodeGlobalState,
  GLOBAL_STATE_SECTION,
  illegalRamOffset,
  locateError,
  MigrationError,
  parseVmDescription,
  RAM_SECTION,
  STREAM_VERSION,
  StreamDecoder,
  truncated,
  unknownRamBlock,
  unsupportedSectionVersion,
} from "@peregrine/protocol";
import type {
  Command,
  Configuration,
  CutBy,
  InflatePage,
  Limits,
  OpaqueDevice,
  PayloadDecoder,
  SectionHeader,
  StreamHandler,
  VmDescription,
} from "@peregrine/protocol";
import { uuidText } from "./hex.ts";
import type { Extent, InspectEvent } from "./inspect-events.ts";
import { LiveSections } from "./live-sections.ts";
import { MeasuredPayload } from "./measured-payload.ts";
import type { MemoryTarget } from "./memory-target.ts";
import { RamSection } from "./ram-section.ts";
import { RamStatistics } from "./ram-statistics.ts";
import { SectionExtent } from "./section-extent.ts";
import type { ChannelSummary, StreamSummary } from "./stream-summary.ts";
import { examineUndivided } from "./undivided-tail.ts";

/** Magic and version. */
const HEADER_BYTES = 8;
/** Machine types whose memory grows: pages behind the last one that was sent do not exist yet. */
const GROWING_MACHINE = /^wasm-\d+$/u;

/** Is told what a stream holds, while it is read. A MigrationError thrown by a method ends the reading. */
export interface InspectListener {
  event?(event: InspectEvent): void;
  /** The payload of a device section, before its event. Valid during the call only. */
  device?(header: SectionHeader, payload: Uint8Array, cutBy: CutBy): void;
  /** Before the event of the vmdescription. */
  described?(description: VmDescription): void;
  /** After each chunk. The reading goes on when the promise ends. */
  caughtUp?(): Promise<void>;
}

interface StreamInspectorOptions {
  readonly limits: Limits;
  readonly listener: InspectListener;
  readonly inflate: InflatePage;
  readonly memory?: MemoryTarget | undefined;
  /** Whether pages come on multifd channels beside the stream. */
  readonly channels: boolean;
  /** Offset in its file of the stream's first byte. */
  readonly fileOffset: number;
}

/**
 * Reads a main stream of any release and tells what is in it. Holds a bit for each page, what the listener
 * keeps, and what a StreamDecoder has to.
 */
export class StreamInspector {
  readonly statistics: RamStatistics;
  readonly #options: StreamInspectorOptions;
  readonly #decoder: StreamDecoder;
  readonly #ram: RamSection;
  readonly #live: LiveSections;
  readonly #payloads = new Map<number, MeasuredPayload>();
  #configuration: Configuration | undefined;
  /** Bytes that came, and whether they are all that there are. */
  #bytes = 0;
  #allCame = false;
  /** Offset behind what was told last. Items follow each other without gaps. */
  #told = 0;
  #section: SectionExtent | undefined;
  #inPackage = false;
  /** The first of device sections that nothing tells apart. */
  #undivided: SectionHeader | undefined;
  /** They were read up to what has to be the end mark. */
  #endMarkAwaited = false;
  #footers: boolean | undefined;
  #sections = 0;
  #devices = 0;
  #runState: string | undefined;
  #described = false;
  /** Releases before 8.1 say nothing where the channels have to be waited for: it is behind every section `ram`. */
  #syncsAfterSections = false;

  constructor(options: StreamInspectorOptions) {
    const { limits, memory, inflate, channels } = options;
    this.#options = options;
    this.statistics = new RamStatistics({ channels });
    this.#live = new LiveSections(limits);
    this.#decoder = new StreamDecoder({
      limits,
      handler: this.#handler(),
      configuration: "optional",
      footers: "detected",
    });
    this.#ram = new RamSection({
      limits,
      statistics: this.statistics,
      memory,
      inflate,
      position: () => this.#decoder.offset,
      flush: () => this.#flush(),
    });
  }

  /** @returns as StreamDecoder.push: false where the channels have to come to their next sync, and then {@link resume}. */
  push(chunk: Uint8Array): boolean {
    this.#bytes += chunk.length;
    return this.#decoder.push(chunk);
  }

  resume(): boolean {
    return this.#decoder.resume();
  }

  /** The stream has ended. Errors: TRUNCATED. @returns as StreamDecoder.end. */
  end(): boolean {
    this.#allCame = true;
    try {
      return this.#decoder.end();
    } catch (error) {
      if (!this.#endMarkAwaited || !MigrationError.is(error)) throw error;
      // Nothing tells where undivided sections end, so the last byte was taken for the end mark.
      const section = this.#undivided!.name;
      throw locateError(truncated("the end mark"), { offset: this.#bytes, section });
    }
  }

  /** The reading has ended before its time: tells what was being read. */
  abandon(): void {
    this.#tellHeader();
    const size = this.#read - this.#told;
    const section = this.#section?.header.name;
    this.#tell({
      item: "unfinished",
      offset: this.#told,
      size,
      ...(section === undefined ? {} : { section }),
    });
  }

  summary(channels: readonly ChannelSummary[]): StreamSummary {
    return {
      item: "summary",
      bytes: this.#read,
      complete: this.#decoder.finished,
      machineType: this.#configuration?.machineType,
      runState: this.#runState,
      configuration: this.#configuration !== undefined,
      footers: this.#footers,
      vmDescription: this.#described,
      sections: this.#sections,
      devices: this.#devices,
      undivided: this.#undivided !== undefined,
      blocks: this.statistics.blocks(),
      passes: this.statistics.passes(),
      discardedPages: this.statistics.discardedPages,
      multifdFlushes: this.statistics.flushes,
      channels,
      disks: this.#live.disks,
      bitmaps: this.#live.bitmaps,
    };
  }

  /** Bytes up to what is wrong, or up to the end. What follows in the same chunk was not looked at. */
  get #read(): number {
    return this.#allCame ? this.#bytes : this.#decoder.offset;
  }

  #handler(): StreamHandler {
    return {
      configuration: (configuration) => this.#configure(configuration),
      open: (header) => this.#open(header),
      part: (header) => this.#begin(header),
      close: () => this.#close(),
      command: (command) => this.#command(command),
      packageEnd: () => {
        this.#inPackage = false;
        this.#tell({ item: "package-end", offset: this.#told });
      },
      endMark: () => {
        this.#endMarkAwaited = false;
        this.#tell({ item: "end-mark", ...this.#extent() });
      },
      vmDescription: (text) => this.#describe(parseVmDescription(text)),
    };
  }

  /** From behind what was told last to what was read last. */
  #extent(): Extent {
    this.#tellHeader();
    return { offset: this.#told, size: this.#decoder.offset - this.#told };
  }

  #tell(event: InspectEvent): void {
    if ("size" in event) this.#told = event.offset + event.size;
    this.#options.listener.event?.(event);
  }

  #tellHeader(): void {
    if (this.#told > 0 || this.#decoder.offset < HEADER_BYTES) return;
    this.#told = HEADER_BYTES;
    this.#options.listener.event?.({
      item: "header",
      offset: 0,
      size: HEADER_BYTES,
      version: STREAM_VERSION,
    });
  }

  #configure(configuration: Configuration): void {
    this.#configuration = configuration;
    if (GROWING_MACHINE.test(configuration.machineType)) this.statistics.allowGrowth();
    const { uuid, ...rest } = configuration;
    const named = uuid === undefined ? {} : { uuid: uuidText(uuid) };
    this.#tell({ item: "configuration", ...this.#extent(), ...rest, ...named });
  }

  #open(header: SectionHeader): PayloadDecoder | OpaqueDevice {
    this.#begin(header);
    if (header.kind === "full") return this.#device(header);
    const payload = new MeasuredPayload(
      header.name === RAM_SECTION.name ? this.#ramDecoder(header) : this.#live.decoder(header),
    );
    this.#payloads.set(header.id, payload);
    return payload;
  }

  #ramDecoder({ name, version }: SectionHeader): PayloadDecoder {
    if (version > RAM_SECTION.version) throw unsupportedSectionVersion(name, version, RAM_SECTION.version);
    if (this.statistics.blockCount > 0) {
      throw new MigrationError("BAD_SECTION_ORDER", `The section '${name}' came twice`);
    }
    return this.#ram.decoder(this.#configuration, this.#options.fileOffset);
  }

  #begin(header: SectionHeader): void {
    this.#tellHeader();
    const { offset } = this.#decoder;
    this.#section = new SectionExtent(header, this.#told, offset, this.statistics.records);
    this.#ram.startPayload();
  }

  #device(header: SectionHeader): OpaqueDevice {
    return {
      payload: (payload, cutBy) => {
        this.#section?.endDevice(this.#decoder.offset, cutBy);
        this.#devices += 1;
        if (header.name === GLOBAL_STATE_SECTION.name) this.#runState = decodeGlobalState(payload);
        this.#options.listener.device?.(header, payload, cutBy);
      },
      undivided: (bytes) => {
        this.#undivided = header;
        const { name, instance } = header;
        this.#tell({ item: "undivided", ...this.#extent(), name, instance });
        examineUndivided(bytes, header);
        this.#endMarkAwaited = true;
      },
    };
  }

  #close(): void {
    const section = this.#section!;
    this.#section = undefined;
    const { kind, name, id } = section.header;
    const payloadEnd = section.deviceEnd ?? this.#payloads.get(id)!.end;
    const event = section.event(payloadEnd, this.#decoder.offset, this.#inPackage, this.statistics.records);
    this.#footers = event.footer;
    this.#sections += 1;
    if (kind === "end") this.#payloads.delete(id);
    this.#tell(event);
    if (name !== RAM_SECTION.name || !this.#options.channels) return;
    if (kind === "start") this.#syncsAfterSections = this.statistics.flushes === 0;
    if (this.#syncsAfterSections) this.#decoder.suspend();
  }

  #command(command: Command): void {
    if (command.kind === "postcopy-ram-discard") this.#discard(command);
    if (command.kind === "postcopy-run") this.statistics.startPostcopy();
    this.#tell({ item: "command", ...this.#extent(), command, packaged: this.#inPackage });
    if (command.kind === "packaged") this.#inPackage = true;
  }

  #discard({ block, ranges }: Command & { readonly kind: "postcopy-ram-discard" }): void {
    const found = this.statistics.find(block);
    if (found === undefined) throw unknownRamBlock(block);
    for (const { start, length } of ranges) {
      if (start + length > found.length) throw illegalRamOffset(start + length);
      this.statistics.discard(found.index, start, length);
    }
  }

  #describe(description: VmDescription): void {
    this.#described = true;
    this.#options.listener.described?.(description);
    const { devices, page_size: pageSize } = description;
    this.#tell({ item: "vmdescription", ...this.#extent(), devices: devices.length, pageSize });
  }

  #flush(): boolean {
    if (!this.#options.channels) return true;
    this.#decoder.suspend();
    return false;
  }
}
