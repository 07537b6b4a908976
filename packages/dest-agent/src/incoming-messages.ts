import type { Extensions, Limits, MigrationId, SerializedError } from "@peregrine/protocol";
import type {
  CarriedClosing,
  CarriedOpening,
  DeviceListing,
  DriveAccess,
  RamAccess,
} from "@peregrine/shared-state";
import type { Address, ChannelOptions, ServerTls } from "@peregrine/transport";
import type { SourceExpectation } from "./incoming-options.ts";
import type { DeviceState } from "./load-target.ts";

/** What the incoming thread is started with. */
export interface IncomingTask {
  readonly uri: string;
  readonly channelOptions: ChannelOptions;
  /** On every connection. Undefined: none has TLS. */
  readonly tls: ServerTls | undefined;
  readonly machine: AwaitedMachine;
  /** Multifd channels that the source opens; 0: it has none. */
  readonly multifdChannels: number;
  /** One Int32, not 0 while a source is told that it can switch over, also if it does not wait for that. */
  readonly switchoverAck: SharedArrayBuffer;
  readonly limits: Limits;
  /** What a source can have beyond QEMU's protocol. */
  readonly extensions: Extensions;
  /** Whether `agree` says later if the source has a hand-over that asks for one. */
  readonly agreesLater: boolean;
  /** Milliseconds of silence after which a source counts as dead that has promised to speak up; 0: never. */
  readonly silence: number;
  /** The buffer of the IncomingStatistics. */
  readonly statistics: SharedArrayBuffer;
}

/** The machine that a stream is awaited for. */
export type AwaitedMachine =
  | {
      readonly kind: "described";
      /** What the configuration section has to name. */
      readonly machineType: string;
      readonly devices: readonly DeviceListing[];
      readonly hasDrives: boolean;
      /** The module that opens its memory, if it is known before there is any. */
      readonly ramModule?: string | undefined;
    }
  | {
      readonly kind: "carried";
      /** The module that makes its memory; see MachineIntake. */
      readonly memory: RamAccess;
    };

/** What the incoming thread asks. Questions are answered one after the other, in their order. */
export type ThreadQuestion =
  | { readonly kind: "load-devices"; readonly devices: readonly DeviceState[] }
  /** The early devices are loaded: guest memory exists now. */
  | { readonly kind: "open-ram" }
  /** Contents of drives begin to come. */
  | { readonly kind: "open-drives" }
  /** Of a carried machine: the list of RAM blocks was read. */
  | {
      readonly kind: "opened";
      readonly opening: CarriedOpening;
      readonly ram: RamAccess;
      readonly source: SourceExpectation;
    }
  /** Of a carried machine: everything has arrived. */
  | { readonly kind: "closed"; readonly closing: CarriedClosing }
  /** Everything was handed over: may the source be asked to decide about it? */
  | { readonly kind: "accept"; readonly migration: MigrationId }
  /**
   * The source has given the guest, or will when it is told that everything was handed over: may it be told so?
   * `returnPath`: it waits for that.
   */
  | { readonly kind: "commit"; readonly returnPath: boolean };

/** What the incoming thread tells. */
export type ThreadMessage =
  | ThreadQuestion
  | { readonly kind: "listening"; readonly address: Address }
  /** Somebody has come who is not let in. */
  | { readonly kind: "refused"; readonly error: SerializedError }
  | { readonly kind: "connected"; readonly peer: string }
  /** How much of the first pass over the drives has come. */
  | { readonly kind: "drives-progress"; readonly percent: number }
  /** The connection broke before the source's decision was heard. The channel is closed. */
  | { readonly kind: "undecided"; readonly error: SerializedError }
  /** The source has been told. The guest belongs to this side now. */
  | { readonly kind: "loaded" }
  /** The source has been told as far as it could be, and the channel is closed. */
  | { readonly kind: "failed"; readonly error: SerializedError };

/** What the main thread answers and tells. */
export type MainMessage =
  /** The answer to every question but these two. */
  | { readonly kind: "done" }
  /** The answer to `open-ram`. */
  | { readonly kind: "ram"; readonly access: RamAccess }
  /** The answer to `open-drives`. */
  | { readonly kind: "drives"; readonly access: DriveAccess }
  /** Unasked, once after `ram`: the machine needs nothing any more but the late devices. */
  | { readonly kind: "prepared" }
  /** The answer to `commit` where it is not known who has the guest: the source is told nothing. */
  | { readonly kind: "unknown"; readonly error: SerializedError }
  /** Unasked, once: whether a source that asks for a hand-over has one. */
  | { readonly kind: "agree"; readonly handOver: boolean }
  /** The load cannot succeed any more. It is answered with `failed`. */
  | { readonly kind: "abort"; readonly error: SerializedError }
  /** When the guest is this side's: after `loaded` the channel is not needed any more. */
  | { readonly kind: "close-channel" };
