import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL(".", import.meta.url));

/** Where `build.ts` puts the command line. */
export const BUILT = join(PACKAGE, "dist");

/** What tests and benches give to Node: that which users get. There once `build()` has run. */
export const PEREGRINE = join(BUILT, "peregrine.js");
