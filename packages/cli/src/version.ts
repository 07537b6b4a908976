import type { MonitorVersion } from "@peregrine/monitor";
import manifest from "../package.json" with { type: "json" };

export const VERSION = manifest.version;

/** The monitor behaves as that of QEMU 2.0; what later releases added is found with `query-commands`. */
export const MONITOR_VERSION: MonitorVersion = {
  qemu: { major: 2, minor: 0, micro: 0 },
  package: `peregrine ${VERSION}`,
};
