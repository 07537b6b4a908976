import type * as fc from "fast-check";
import { channelProperty } from "./channel-target.ts";
import { deltaProperty } from "./delta-target.ts";
import { deviceProperty } from "./device-target.ts";
import { mappedProperty } from "./mapped-target.ts";
import type { Allocations } from "./oracle.ts";
import { returnPathProperty } from "./return-target.ts";
import { streamProperty } from "./stream-target.ts";

/** Something that is fuzzed. */
export interface Target {
  readonly name: string;
  /** Its part of the time, compared with those of the others. */
  readonly share: number;
  /** Bytes of memory that it may hold between two runs. Default: 64 MiB. */
  readonly mostHeld?: number;
  property(
    allocations: Allocations,
  ):
    | fc.IPropertyWithHooks<unknown>
    | fc.IAsyncPropertyWithHooks<unknown>
    | Promise<fc.IPropertyWithHooks<unknown> | fc.IAsyncPropertyWithHooks<unknown>>;
  /** Ends what the property has begun. */
  end?(): Promise<void>;
}

export const TARGETS: readonly Target[] = [
  { name: "stream", share: 5, property: streamProperty },
  { name: "channel", share: 2, property: channelProperty },
  { name: "devices", share: 2, property: deviceProperty },
  { name: "return-path", share: 1, property: returnPathProperty },
  { name: "delta", share: 1, property: deltaProperty },
  { name: "mapped", share: 1, property: mappedProperty },
];
