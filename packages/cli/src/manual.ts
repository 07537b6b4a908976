import { describeProgram } from "./command-line.ts";
import { manPages } from "./reference/man-page.ts";
import type { ManPage } from "./reference/man-page.ts";
import { VERSION } from "./version.ts";

/** The manual of this release, made from the definitions of its commands. */
export function manual(): readonly ManPage[] {
  const daemons = (["source-agent", "dest-agent"] as const).map((name) => describeProgram(name));
  return manPages(describeProgram("peregrine"), daemons, VERSION);
}
