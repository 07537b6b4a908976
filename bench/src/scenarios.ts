import type { Scenario } from "./scenario.ts";
import { guestSpeed } from "./scenarios/guest-speed.ts";
import { rewriter } from "./scenarios/rewriter.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [guestSpeed, rewriter];
