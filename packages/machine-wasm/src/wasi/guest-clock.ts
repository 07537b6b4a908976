import { ClockId } from "./abi.ts";
import { HostError } from "./errno.ts";
import type { HostClock, HostClockId } from "./host.ts";

/** The guest's clocks. Its monotonic time goes on across a move; realtime is the host's. */
export class GuestClock {
  readonly #host: HostClock;
  /** Guest monotonic time minus host monotonic time. */
  readonly #offsetNs: bigint;

  /** @param monotonicNs what the guest's monotonic clock shows now; undefined takes the host's. */
  constructor(host: HostClock, monotonicNs: bigint | undefined) {
    this.#host = host;
    this.#offsetNs = monotonicNs === undefined ? 0n : monotonicNs - host.monotonicNs();
  }

  monotonicNs(): bigint {
    return this.#host.monotonicNs() + this.#offsetNs;
  }

  realtimeNs(): bigint {
    return this.#host.realtimeNs();
  }

  /** A guest monotonic time on the host's monotonic clock. */
  toHost(guestNs: bigint): bigint {
    return guestNs - this.#offsetNs;
  }

  /** The time of a clock that the guest names by number. Errors: EINVAL, ENOTSUP for processor time. */
  now(id: number): bigint {
    return hostClock(id) === "realtime" ? this.realtimeNs() : this.monotonicNs();
  }

  resolutionNs(id: number): bigint {
    return this.#host.resolutionNs(hostClock(id));
  }
}

function hostClock(id: number): HostClockId {
  switch (id) {
    case ClockId.realtime:
      return "realtime";
    case ClockId.monotonic:
      return "monotonic";
    case ClockId.processCpu:
    case ClockId.threadCpu:
      throw new HostError("ENOTSUP");
    default:
      throw new HostError("EINVAL");
  }
}
