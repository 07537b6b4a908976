import type { IncomingMigration, NetworkInterface } from "@peregrine/dest-agent";
import type { Extensions } from "@peregrine/protocol";
import type { MigrationStatus, OwnershipLedger, RunControl } from "@peregrine/shared-state";
import type { PassedOn } from "@peregrine/source-agent";
import type { SecurityObjects } from "@peregrine/transport";
import type { GuestMachine } from "./guest-machine.ts";
import type { GuestHooks } from "./hooks/guest-hooks.ts";
import type { ArrivalTls } from "./tls-options.ts";

/** One of an agent's migrations has another status. Events do not tell which one: a relay has one in each direction. */
export interface MigrationTrace {
  readonly kind: "migration";
  readonly direction: "incoming" | "outgoing";
  readonly status: MigrationStatus;
}

/** What was done to an agent, and what happens to it, as far as it is told by no event. */
export type AgentTrace =
  | MigrationTrace
  | { readonly kind: "capabilities"; readonly changes: Readonly<Record<string, boolean>> }
  | { readonly kind: "parameters"; readonly names: readonly string[] }
  | { readonly kind: "ownership" };

/** What an {@link Agent} is made of. */
export interface AgentOptions {
  readonly name: string;
  readonly machine: GuestMachine;
  readonly run: RunControl;
  /** The guest is to arrive by this; without it, it was made here. */
  readonly incoming?: IncomingMigration;
  /** Multifd channels that a source opens, where the monitor says where it is awaited. Default: 0. */
  readonly channels?: number;
  /** What a relay asks of its source there. Default: it is no relay, and its parameters say that. */
  readonly intakeTls?: ArrivalTls;
  /** Whether the agent ends when the guest could not be loaded. Default: true. */
  readonly exitOnError?: boolean;
  /** Network interfaces that the guest is known by. Default: none. */
  readonly interfaces?: readonly NetworkInterface[];
  /** What is run when the guest comes and goes. Default: nothing. */
  readonly hooks?: GuestHooks;
  /** For TLS. Default: none. */
  readonly objects?: SecurityObjects;
  /** Stays after the guest has moved away. */
  readonly keep: boolean;
  /** Where it is kept who has the guest. Default: nowhere. */
  readonly ledger?: OwnershipLedger;
  /** What a destination is asked for beyond QEMU's protocol. Default: everything. */
  readonly extensions?: Extensions;
  /** The guest is sent on while it comes. Default: it is to be this side's. */
  readonly passedOn?: PassedOn;
  /** Milliseconds of silence after which a destination counts as dead; 0: never. Default: 5000. */
  readonly silence?: number | undefined;
}
