import type { HostClock, HostClockId } from "@peregrine/machine-wasm";

const NS_PER_MS = 1_000_000n;

/** Clocks of this host. The monotonic one is the system's, the same in every process and thread. */
export class NodeClock implements HostClock {
  realtimeNs(): bigint {
    return BigInt(Date.now()) * NS_PER_MS;
  }

  monotonicNs(): bigint {
    return process.hrtime.bigint();
  }

  resolutionNs(id: HostClockId): bigint {
    return id === "realtime" ? NS_PER_MS : 1n;
  }
}
