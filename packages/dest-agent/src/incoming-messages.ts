import type { Limits, SerializedError } from "@peregrine/protocol";
import type { DeviceListing, RamAccess, StateValue } from "@peregrine/shared-state";
import type { Address, ChannelOptions } from "@peregrine/transport";

/** What the incoming thread is started with. */
export interface IncomingTask {
  readonly uri: string;
  readonly channelOptions: ChannelOptions;
  readonly machineType: string;
  readonly devices: readonly DeviceListing[];
  readonly limits: Limits;
  /** The buffer of the IncomingStatistics. */
  readonly statistics: SharedArrayBuffer;
}

/** What the incoming thread asks. The next question comes after the answer to the one before. */
export type ThreadQuestion =
  | {
      readonly kind: "load-device";
      readonly name: string;
      readonly instance: number;
      readonly value: StateValue;
    }
  /** The early devices are loaded: guest memory exists now. */
  | { readonly kind: "open-ram" }
  /** Everything is loaded: may the source be told so? */
  | { readonly kind: "commit" };

/** What the incoming thread tells. */
export type ThreadMessage =
  | ThreadQuestion
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "connected"; readonly peer: string }
  /** The source has been told. The guest belongs to this side now. */
  | { readonly kind: "loaded" }
  /** The source has been told as far as it could be, and the channel is closed. */
  | { readonly kind: "failed"; readonly error: SerializedError };

/** What the main thread answers and tells. */
export type MainMessage =
  /** The answer to `load-device` and `commit`. */
  | { readonly kind: "done" }
  /** The answer to `open-ram`. */
  | { readonly kind: "ram"; readonly access: RamAccess }
  /** Unasked, once after `ram`: the machine needs nothing any more but the late devices. */
  | { readonly kind: "prepared" }
  /** The load cannot succeed any more. It is answered with `failed`. */
  | { readonly kind: "abort"; readonly error: SerializedError }
  /** After `loaded`: the channel is not needed any more. */
  | { readonly kind: "close-channel" };
