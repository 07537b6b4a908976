import type { Scenario } from "./scenario.ts";
import { compressible } from "./scenarios/compressible.ts";
import { randomTcp, randomUnix, zeroTcp } from "./scenarios/copy.ts";
import { hotXbzrle } from "./scenarios/hot-xbzrle.ts";
import { kernels } from "./scenarios/kernels.ts";
import { large } from "./scenarios/large.ts";
import { multifd } from "./scenarios/multifd.ts";

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [
  randomTcp,
  randomUnix,
  zeroTcp,
  large,
  hotXbzrle,
  kernels,
  compressible,
  multifd,
];
