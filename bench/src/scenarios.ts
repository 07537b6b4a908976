import type { Scenario } from "./scenario.ts";
import { downtimeIdle } from "./scenarios/downtime-idle.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [downtimeIdle];
