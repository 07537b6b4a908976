import type {
  Configuration,
  OpaqueDevice,
  PayloadDecoder,
  SectionHeader,
  StreamDecoderOptions,
} from "@peregrine/protocol";
import type { GuestBlocks } from "./guest-blocks.ts";

/** Something to be done before decoding goes on. */
export type Step = () => Promise<void>;

/** What is known when the list of RAM blocks was read. */
export interface StreamHead {
  readonly footers: boolean;
  /** Whether the source waits to be told that everything is loaded. */
  readonly returnPath: boolean;
  /** Whether it has asked for a hand-over. */
  readonly asksHandOver: boolean;
  /** 16 bytes, as multifd channels name it. */
  readonly uuid: Uint8Array | undefined;
}

/** The parts of loading a stream that depend on the machine that it is for. Calls are made in the stream's order. */
export interface MachineLoader {
  /** What its streams may leave out. */
  readonly leaves: Pick<StreamDecoderOptions, "configuration" | "footers">;
  /** Whether sections are held whose lengths only the end of the stream tells. */
  readonly holdsDevices: boolean;
  /** The answer to a ping waits for it. Undefined: there is nothing to wait for. */
  readonly prepared: Promise<void> | undefined;
  /** Called unless the stream has none. Errors: MACHINE_TYPE_MISMATCH. */
  configuration(configuration: Configuration): Step | undefined;
  /**
   * Any section but `ram` begins.
   * @param suspendFor has something done before decoding goes on; also while the payload is decoded.
   * Errors: UNKNOWN_SECTION, UNSUPPORTED_SECTION_VERSION, BAD_SECTION_ORDER.
   */
  openDevice(header: SectionHeader, suspendFor: (step: Step) => void): PayloadDecoder | OpaqueDevice;
  closeDevice(header: SectionHeader): Step | undefined;
  /** START of `ram` begins. Errors: UNSUPPORTED_SECTION_VERSION, BAD_SECTION_ORDER. */
  startRam(header: SectionHeader): GuestBlocks;
  /** START of `ram` is complete, and the list of blocks with it. Decoding goes on when it resolves. */
  ramStarted(head: StreamHead): Promise<void>;
  /** END of `ram` is complete. */
  endRam(): void;
  /** Errors: BAD_SECTION_ORDER, naming a section that did not come. */
  endMark(): void;
  vmDescription(text: string): void;
  /** Everything has come. Resolves when all of it is loaded, or is being loaded by the target. */
  complete(): Promise<void>;
  /** The load has failed. Resolves when nothing of it goes on. */
  close?(): Promise<void>;
}
