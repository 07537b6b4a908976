import type { Scenario } from "./scenario.ts";
import { randomTcp, randomUnix, zeroTcp } from "./scenarios/copy.ts";
import { kernels } from "./scenarios/kernels.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [randomTcp, randomUnix, zeroTcp, kernels];
