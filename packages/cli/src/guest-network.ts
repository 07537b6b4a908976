import { Announcer } from "@peregrine/dest-agent";
import type { NetworkInterface } from "@peregrine/dest-agent";
import type { AgentEvent } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import type { AnnounceRequest, Machine } from "@peregrine/shared-state";
import type { OutgoingMigration } from "@peregrine/source-agent";
import type { InterfaceReport } from "./agent-report.ts";

export interface GuestNetworkOptions {
  /** Name of the guest. */
  readonly name: string;
  readonly interfaces: readonly NetworkInterface[];
  readonly machine: Machine;
  readonly outgoing: OutgoingMigration;
  /** Whether the guest is still to arrive. */
  readonly awaited: boolean;
  readonly publish: (event: AgentEvent) => void;
}

/** The network interfaces of a guest, and what is told to the networks behind them. */
export class GuestNetwork {
  readonly #interfaces: readonly NetworkInterface[];
  readonly #machine: Machine;
  readonly #outgoing: OutgoingMigration;
  readonly #announcer: Announcer<NetworkInterface>;
  #awaited: boolean;

  constructor({ name, interfaces, machine, outgoing, awaited, publish }: GuestNetworkOptions) {
    this.#interfaces = interfaces;
    this.#machine = machine;
    this.#outgoing = outgoing;
    this.#awaited = awaited;
    this.#announcer = new Announcer({
      interfaces,
      isHere: () => this.#absence === undefined,
      announced: ({ round, interfaces: announced }) => {
        publish({ name: "ANNOUNCE", data: { guest: name, round, interfaces: announced.map(idAndMac) } });
      },
    });
  }

  /** Everything of the guest has come, and it is about to run: announces it as the parameters say. */
  arrived(): void {
    this.#awaited = false;
    // The guest stands still meanwhile.
    if (this.#interfaces.length === 0) return;
    const parameters = this.#outgoing.queryParameters();
    this.announce({
      initial: parameters["announce-initial"],
      max: parameters["announce-max"],
      rounds: parameters["announce-rounds"],
      step: parameters["announce-step"],
    });
  }

  /** Nothing has come in the end. */
  failed(): void {
    this.#awaited = true;
    this.leave();
  }

  /** Makes the first round before it returns. Errors: WRONG_STATE when the guest is not here. */
  announce(request: AnnounceRequest): void {
    const absence = this.#absence;
    if (absence !== undefined) throw new MigrationError("WRONG_STATE", absence);
    this.#announcer.announce(request);
  }

  /** The guest is elsewhere, or gone: ends announcements and connections. */
  leave(): void {
    this.#announcer.stop();
    for (const one of this.#interfaces) one.close();
  }

  report(): InterfaceReport[] {
    return this.#interfaces.map((one) => ({ ...idAndMac(one), netdev: one.netdev, ...one.counts }));
  }

  /** Why the guest is not to be announced here. */
  get #absence(): string | undefined {
    if (this.#machine.carried !== undefined) {
      return "A virtual machine that is held does not run here, so it has no network to be announced to";
    }
    if (this.#awaited) return "Guest is waiting for an incoming migration";
    switch (this.#outgoing.ownership) {
      case "owner":
        return undefined;
      case "undecided":
        return "The guest is being handed over; announce it when that has ended";
      default:
        return "The destination took over the guest; announce it there, not here";
    }
  }
}

function idAndMac({ id, mac }: NetworkInterface): { readonly id: string; readonly mac: string } {
  return { id, mac };
}
