import type { Scenario } from "./scenario.ts";
import { compressible } from "./scenarios/compressible.ts";
import { parallelScenarios, randomTcp, randomUnix, zeroTcp } from "./scenarios/copy.ts";
import { dashboard } from "./scenarios/dashboard.ts";
import { downtimeHot } from "./scenarios/downtime-hot.ts";
import { downtimeIdle } from "./scenarios/downtime-idle.ts";
import { guestSpeed } from "./scenarios/guest-speed.ts";
import { hotXbzrle } from "./scenarios/hot-xbzrle.ts";
import { kernels } from "./scenarios/kernels.ts";
import { large } from "./scenarios/large.ts";
import { memory } from "./scenarios/memory.ts";
import { monitor } from "./scenarios/monitor.ts";
import { multifd } from "./scenarios/multifd.ts";
import { rewriter } from "./scenarios/rewriter.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [
  randomTcp,
  randomUnix,
  zeroTcp,
  large,
  hotXbzrle,
  downtimeIdle,
  downtimeHot,
  monitor,
  dashboard,
  memory,
  kernels,
  compressible,
  multifd,
  ...parallelScenarios,
  guestSpeed,
  rewriter,
];
