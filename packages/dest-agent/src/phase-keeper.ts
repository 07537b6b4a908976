import { Listeners } from "@peregrine/shared-state";
import type { IncomingInfo, IncomingSnapshot, MigrationStatus } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";
import { ArrivalProgress, arrivalSample } from "./arrival-progress.ts";
import { incomingInfo } from "./incoming-info.ts";
import { statusOf } from "./incoming-phase.ts";
import type { IncomingPhase } from "./incoming-phase.ts";
import type { IncomingStatus } from "./incoming-result.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";

/** How far an incoming migration is, and what those see who ask. */
export class PhaseKeeper {
  /** Where it listens, or has listened. */
  address: Address | undefined;
  readonly #statistics: IncomingStatistics;
  readonly #progress: ArrivalProgress;
  readonly #listeners = new Listeners<MigrationStatus>();
  #current: IncomingPhase = { kind: "setup" };

  /** @param hasChannels whether memory comes on channels of its own. */
  constructor(statistics: IncomingStatistics, hasChannels: () => boolean) {
    this.#statistics = statistics;
    this.#progress = new ArrivalProgress(() => arrivalSample(this.status, statistics, !hasChannels()));
  }

  get current(): IncomingPhase {
    return this.#current;
  }

  /** Tells the listeners if clients of the monitor see another status then. */
  set current(phase: IncomingPhase) {
    const before = this.info.status;
    this.#current = phase;
    this.#progress.changed(this.status.kind);
    const { status } = this.info;
    if (status !== undefined && status !== before) this.#listeners.tell(status);
  }

  get status(): IncomingStatus {
    return statusOf(this.#current, () => this.#statistics.progress());
  }

  /** The same as the monitor's clients know it. */
  get info(): IncomingInfo {
    return incomingInfo(this.status, this.address);
  }

  /** How much has come. */
  get progress(): IncomingSnapshot {
    return this.#progress.look();
  }

  /** Where it comes from; empty before it is connected and after it has ended. */
  get peer(): string {
    return "peer" in this.#current ? this.#current.peer : "";
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: (status: MigrationStatus) => void): () => void {
    return this.#listeners.add(listener);
  }
}
