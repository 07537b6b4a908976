import {
  agreeTo,
  askedFor,
  BLOCK_SECTION,
  BlockDecoder,
  ByteWriter,
  DEFAULT_LIMITS,
  encodeReturnMessage,
  MigrationError,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import type {
  Command,
  Extensions,
  MigrationId,
  RamBlockEntry,
  ReturnMessage,
  SectionHeader,
  StreamHandler,
} from "@peregrine/protocol";
import { decoderFor } from "@peregrine/shared-state";
import type { DeviceListing, StateDecoder } from "@peregrine/shared-state";
import { formatUri, listen } from "@peregrine/transport";
import type { Channel, Listener } from "@peregrine/transport";

export interface ReceiverBehaviour {
  /** Sections that it can read, besides `ram`. */
  readonly devices: readonly DeviceListing[];
  /** Answers PING 2 when this resolves. Default: at once. */
  readonly prepared?: Promise<void>;
  /** Whether it answers PING 3. Default: true. */
  readonly catchesUp?: boolean;
  /** Acknowledges the switchover when this resolves. Default: never. */
  readonly acknowledged?: Promise<void>;
  /** What it agrees to when it is asked. Default: it echoes the question, as QEMU does. */
  readonly extensions?: Extensions | "no answer";
  /** What it does when the guest is given to it, if that was agreed on. Default: it takes it. */
  readonly given?: "take" | "refuse" | "close" | "say nothing";
  /** What it answers when everything is there; `nothing`: it waits until the source closes, `half-close`: it says that nothing more comes from it, and waits too. Default: 0. */
  readonly shut?: number | "nothing" | "close" | "half-close";
  /** Whether nothing more comes from it behind LOADED, although it hears. Default: false. */
  readonly silentOnceLoaded?: boolean;
  /** Drops the connection after this many bytes. */
  readonly dropAt?: number;
  /** Sent as soon as the connection is there. */
  readonly greeting?: Uint8Array;
  /** Called for everything that it reads, in order: `ram start`, `ping 2`, `page`, `end mark` ... */
  readonly onItem?: (item: string) => void;
}

/** A small destination for one connection, made of the protocol's decoders alone. */
export class TestReceiver implements AsyncDisposable {
  readonly uri: string;
  /** What it read, in order, without the pages. */
  readonly items: string[] = [];
  readonly blocks: RamBlockEntry[] = [];
  /** Memory by block. */
  readonly ram: Uint8Array[] = [];
  /** Contents of drives by their ids, in whole chunks. */
  readonly drives: Record<string, Uint8Array> = {};
  /** When bytes came, milliseconds, and how many. */
  readonly arrivals: { readonly at: number; readonly bytes: number }[] = [];
  /** Undefined until everything has come. */
  description: unknown;
  bytes = 0;
  /** Pages that came as deltas. */
  deltas = 0;
  /** Resolves, never rejects, when the connection is over: with why it ended early, or undefined. */
  readonly over: Promise<MigrationError | undefined>;
  readonly #listener: Listener;
  readonly #behaviour: ReceiverBehaviour;
  #channel: Channel | undefined;
  #ended: Promise<void> | undefined;
  #globalState: StateDecoder | undefined;
  #offered: MigrationId | undefined;
  #decision: "give" | "keep" | undefined;

  private constructor(listener: Listener, behaviour: ReceiverBehaviour) {
    this.#listener = listener;
    this.#behaviour = behaviour;
    this.uri = formatUri(listener.address);
    this.over = this.#serve().then(
      () => undefined,
      (error: unknown) => MigrationError.from(error),
    );
  }

  static async listen(uri: string, behaviour: ReceiverBehaviour): Promise<TestReceiver> {
    return new TestReceiver(await listen(uri), behaviour);
  }

  /** The run state that came; undefined before. */
  get runState(): string | undefined {
    if (this.description === undefined) return undefined;
    const { size, runstate } = this.#globalState!.value as { size: number; runstate: Uint8Array };
    return Buffer.from(runstate.subarray(0, size - 1)).toString("latin1");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#channel?.destroy();
    await this.#listener.close();
    await this.over;
  }

  async #serve(): Promise<void> {
    const channel = await this.#listener.accept();
    this.#channel = channel;
    try {
      await this.#load(channel);
    } finally {
      channel.destroy();
    }
  }

  async #load(channel: Channel): Promise<void> {
    const { greeting, dropAt = Infinity } = this.#behaviour;
    if (greeting !== undefined) await channel.write(greeting);
    void this.#behaviour.acknowledged?.then(() => this.#answer(channel, { kind: "switchover-ack" }));
    const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: this.#handler(channel) });
    for await (const chunk of channel.read()) {
      const room = dropAt - this.bytes;
      this.bytes += chunk.length;
      this.arrivals.push({ at: performance.now(), bytes: chunk.length });
      decoder.push(chunk.subarray(0, Math.max(room, 0)));
      if (this.bytes >= dropAt) return;
      // The source says nothing more before it has an answer.
      if (this.description !== undefined) break;
    }
    if (this.#offered !== undefined) {
      await this.#awaitDecision(channel, decoder, this.#offered);
      return;
    }
    decoder.end();
    const { shut = 0 } = this.#behaviour;
    if (shut === "close") return;
    if (shut === "half-close") await channel.end();
    else if (shut !== "nothing") await this.#answer(channel, { kind: "shut", status: shut });
    for await (const chunk of channel.read()) decoder.push(chunk);
  }

  /** Says that everything is loaded, unless it is to say nothing, and does what the source decides. */
  async #awaitDecision(channel: Channel, decoder: StreamDecoder, migration: MigrationId): Promise<void> {
    const { shut, given = "take" } = this.#behaviour;
    if (shut === "close") return;
    if (shut === "half-close") await channel.end();
    else if (shut !== "nothing") await this.#answer(channel, { kind: "loaded", migration });
    if (this.#behaviour.silentOnceLoaded === true) await channel.end();
    for await (const chunk of channel.read()) {
      decoder.push(chunk);
      if (this.#decision === "keep" || (this.#decision === "give" && given === "close")) return;
      if (this.#decision !== "give" || given === "say nothing") continue;
      await this.#answer(channel, { kind: "shut", status: given === "take" ? 0 : 1 });
    }
  }

  #handler(channel: Channel): StreamHandler {
    const disks = new BlockDecoder({
      chunk: (drive, offset, bytes) => {
        const before = this.drives[drive] ?? new Uint8Array(0);
        const contents = new Uint8Array(Math.max(before.length, offset + bytes.length));
        contents.set(before);
        contents.set(bytes, offset);
        this.drives[drive] = contents;
        return true;
      },
      zeroChunk: () => true,
      progress: () => {},
    });
    const ram = new RamDecoder({
      limits: DEFAULT_LIMITS,
      sink: {
        blockList: (blocks) => {
          this.blocks.push(...blocks);
          this.ram.push(...blocks.map((block) => new Uint8Array(block.length)));
        },
        zeroPage: (block, offset, fill) => {
          this.ram[block]!.fill(fill, offset, offset + 4096);
          this.#behaviour.onItem?.("page");
        },
        page: (block, offset, bytes) => {
          this.ram[block]!.set(bytes, offset);
          this.#behaviour.onItem?.("page");
        },
        presentPage: (block, offset) => {
          this.deltas++;
          return this.ram[block]!.subarray(offset, offset + 4096);
        },
      },
    });
    return {
      configuration: ({ machineType, capabilities }) =>
        this.#note(["configuration", machineType, ...(capabilities ?? [])].join(" ")),
      open: (header: SectionHeader) => {
        if (header.name === "ram") return ram;
        if (header.name === BLOCK_SECTION.name) return disks;
        const decoder = decoderFor(this.#behaviour.devices, header.name, header.instance, header.version);
        if (header.name === "globalstate") this.#globalState = decoder;
        return decoder;
      },
      close: ({ name, kind }) => this.#note(`${name} ${kind}`),
      command: (command) => void this.#onCommand(channel, command),
      endMark: () => this.#note("end mark"),
      vmDescription: (text) => {
        this.description = JSON.parse(text) as unknown;
        this.#note("vmdescription");
      },
    };
  }

  #note(item: string): void {
    this.items.push(item);
    this.#behaviour.onItem?.(item);
  }

  async #onCommand(channel: Channel, command: Command): Promise<void> {
    this.#note(nameOf(command));
    if (command.kind === "hand-over") {
      if (command.step === "offer") this.#offered = command.migration;
      else this.#decision = command.step;
    }
    if (command.kind !== "ping") return;
    const { extensions } = this.#behaviour;
    if (extensions !== undefined && askedFor(command.value) !== undefined) {
      if (extensions !== "no answer")
        await this.#answer(channel, { kind: "pong", value: agreeTo(extensions) });
      return;
    }
    if (command.value === 2) await this.#behaviour.prepared;
    if (command.value === 3 && this.#behaviour.catchesUp === false) return;
    await this.#answer(channel, { kind: "pong", value: command.value });
  }

  async #answer(channel: Channel, message: ReturnMessage): Promise<void> {
    const writer = new ByteWriter();
    encodeReturnMessage(writer, message);
    // A source that has gone is noticed by the reader.
    await channel.write(writer.view()).catch(() => {});
  }
}

function nameOf(command: Command): string {
  switch (command.kind) {
    case "ping":
      return `ping ${command.value}`;
    case "hand-over":
      return command.step;
    default:
      return command.kind;
  }
}
