import { DEFAULT_LIMITS, RamDecoder, StreamDecoder } from "@peregrine/protocol";
import type {
  Command,
  Configuration,
  OpaqueDevice,
  PayloadDecoder,
  RamBlockEntry,
  RamSink,
  SectionHeader,
  StreamHandler,
} from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { OpaqueSection, StreamEnding } from "@peregrine/shared-state";
import type { CarriedParts } from "./carried-machine.ts";

/** Reads any stream of a virtual machine in one connection, and keeps what a machine carries of it. */
export class CarriedReader implements StreamHandler, RamSink {
  readonly commands: Command[] = [];
  readonly memory: Uint8Array[] = [];
  blocks: readonly RamBlockEntry[] = [];
  deltas = 0;
  /** The end mark was read. */
  ended = false;
  readonly #footers: boolean;
  readonly #onCommand: ((command: Command) => void) | undefined;
  readonly #ram = new RamDecoder({ limits: DEFAULT_LIMITS, sink: this });
  readonly #decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: this,
    configuration: "optional",
    footers: "detected",
  });
  readonly #early: OpaqueSection[] = [];
  readonly #late: OpaqueSection[] = [];
  #configuration: Configuration | undefined;
  #ending: StreamEnding = { kind: "end-mark" };

  /** @param footers what the stream is known to have. */
  constructor(footers: boolean, onCommand?: (command: Command) => void) {
    this.#footers = footers;
    this.#onCommand = onCommand;
  }

  /** The vmdescription was read. */
  get described(): boolean {
    return this.#ending.kind === "described";
  }

  push(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
  }

  /** The stream has ended. */
  end(): CarriedParts {
    this.#decoder.end();
    return {
      opening: {
        configuration: this.#configuration,
        footers: this.#footers,
        early: this.#early,
        uuid: undefined,
      },
      closing: { late: this.#late, ending: this.#ending },
      blocks: this.blocks,
      memory: this.memory,
    };
  }

  configuration(configuration: Configuration): void {
    this.#configuration = configuration;
  }

  open({ kind, name, instance, version }: SectionHeader): PayloadDecoder | OpaqueDevice {
    if (kind === "start") return this.#ram;
    const sections = this.blocks.length === 0 ? this.#early : this.#late;
    const keep = (payload: Uint8Array, end: readonly number[]): void => {
      sections.push({ name, instance, version, payload: Uint8Array.from([...payload, ...end]) });
    };
    return {
      payload: (bytes) => keep(bytes, []),
      undivided: (bytes) => {
        keep(bytes, [0]);
        this.#ending = { kind: "undivided" };
      },
    };
  }

  command(command: Command): void {
    this.commands.push(command);
    this.#onCommand?.(command);
  }

  endMark(): void {
    this.ended = true;
  }

  vmDescription(text: string): void {
    this.#ending = { kind: "described", text };
  }

  blockList(blocks: readonly RamBlockEntry[]): void {
    this.blocks = blocks.map(({ name, length }) => ({ name, length }));
    for (const { length } of blocks) this.memory.push(new Uint8Array(length));
  }

  zeroPage(block: number, offset: number): void {
    this.memory[block]!.fill(0, offset, offset + PAGE_SIZE);
  }

  presentPage(block: number, offset: number): Uint8Array {
    this.deltas++;
    return this.memory[block]!.subarray(offset, offset + PAGE_SIZE);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.memory[block]!.set(bytes, offset);
  }
}
