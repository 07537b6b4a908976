import type { MonitorVersion } from "../src/version.ts";

export const VERSION: MonitorVersion = { qemu: { major: 2, minor: 0, micro: 0 }, package: "peregrine 0.1.0" };
