import type { Configuration } from "@peregrine/protocol";
import type { GuestRam, RamAccess, RamBlock } from "./machine.ts";

/**
 * A machine that came in a stream and goes out in one: a virtual machine of QEMU that is kept or passed on here.
 * Its devices are not understood, so they are sent as they came.
 */
export interface CarriedMachine {
  /** One Int32, 1 from the moment when everything has arrived. Until then the machine must not be handed over. */
  readonly arrived: SharedArrayBuffer;
  /** What a stream of it begins with. Errors: WRONG_STATE before {@link MachineIntake.opened}. */
  opening(): CarriedOpening;
  /** What follows its memory. Errors: WRONG_STATE before everything has arrived. */
  closing(): CarriedClosing;
}

/** What a carried machine's stream has before its memory. */
export interface CarriedOpening {
  /** Undefined: the stream has no configuration section, as those of machine types up to 2.3. */
  readonly configuration: Configuration | undefined;
  /** Whether each section ends with a footer. */
  readonly footers: boolean;
  /** Sections in front of `ram`. */
  readonly early: readonly OpaqueSection[];
  /** 16 bytes: the virtual machine's own UUID, where it is known. Multifd channels name it. */
  readonly uuid: Uint8Array | undefined;
}

/** What a carried machine's stream has behind its memory. */
export interface CarriedClosing {
  /** FULL sections behind the end of `ram`, in their order. */
  readonly late: readonly OpaqueSection[];
  readonly ending: StreamEnding;
}

/** A section whose payload is sent on as it came. */
export interface OpaqueSection {
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** What is behind the last section's payload and footer. */
export type StreamEnding =
  | { readonly kind: "end-mark" }
  /** The end mark and a vmdescription: its JSON text, as it came. */
  | { readonly kind: "described"; readonly text: string }
  /**
   * Nothing tells the late sections apart: there is one, and its payload goes on to the end of the stream. It
   * holds the headers of the others, and the end mark.
   */
  | { readonly kind: "undivided" };

/**
 * How a virtual machine that is not known before its stream comes is taken in. `memory` is used in the thread
 * that reads the stream, the methods are called in the one that holds the machine, in this order.
 */
export interface MachineIntake {
  /** The module there exports `buildRam(data)`, a {@link BuildRam}. */
  readonly memory: RamAccess;
  /** The list of RAM blocks and everything in front of it was read. `ram` opens the memory in other threads. */
  opened(opening: CarriedOpening, ram: RamAccess): void;
  /** Everything has arrived. */
  closed(closing: CarriedClosing): void;
}

/** Makes guest memory while the list of RAM blocks is being read. */
export interface RamBuilder {
  /** Adds a block of zeros. The lengths together were checked against the limits. Errors: LIMIT_EXCEEDED. */
  addBlock(block: RamBlock): void;
  /** The memory with the blocks so far. */
  readonly ram: GuestRam;
  access(): RamAccess;
  /**
   * Undefined when more may be written at once. Otherwise a promise for the moment when what was written
   * before has been sent on far enough.
   */
  room(): Promise<void> | undefined;
}

/** What another thread calls to make the memory of a machine that arrives. */
export type BuildRam = (data: unknown) => RamBuilder;
