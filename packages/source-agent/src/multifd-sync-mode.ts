/**
 * Where the main stream and the channels of multifd wait for each other: at the end of every section of RAM, or at
 * records in the main stream. Nothing on the wire tells: both ends know it from the machine type.
 */
export type MultifdSyncMode = "section" | "record";

/** The last release whose machine types meet at the ends of sections. */
const LAST_WITH_SECTIONS = { major: 8, minor: 0 } as const;

/** The release at the end of a machine type such as `pc-i440fx-7.2`. */
const RELEASE = /-(?<major>\d+)\.(?<minor>\d+)$/u;

/**
 * How machines of this type do it.
 * @param machineType undefined: the stream has no configuration section, as those of types up to 2.3. A type that names
 *   no release is one of its own, and new.
 */
export function multifdSyncMode(machineType: string | undefined): MultifdSyncMode {
  if (machineType === undefined) return "section";
  const release = RELEASE.exec(machineType)?.groups;
  if (release === undefined) return "record";
  const [major, minor] = [Number(release["major"]), Number(release["minor"])];
  const { major: last, minor: lastMinor } = LAST_WITH_SECTIONS;
  return major < last || (major === last && minor <= lastMinor) ? "section" : "record";
}
