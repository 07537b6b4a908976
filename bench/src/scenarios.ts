import type { Scenario } from "./scenario.ts";
import { downtimeHot } from "./scenarios/downtime-hot.ts";
import { downtimeIdle } from "./scenarios/downtime-idle.ts";
import { memory } from "./scenarios/memory.ts";
import { monitor } from "./scenarios/monitor.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [downtimeIdle, downtimeHot, monitor, memory];
