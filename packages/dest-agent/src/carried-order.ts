import { MigrationError, RAM_SECTION, unsupportedSectionVersion } from "@peregrine/protocol";
import type { SectionHeader } from "@peregrine/protocol";

/** What may come next: devices, then `ram` from START to END, then devices. */
type Stage = "early-devices" | "ram" | "late-devices";

/** Why a section with parts is not taken in, and what to do about it. */
const LIVE_SECTIONS: ReadonlyMap<string, string> = new Map([
  [
    "block",
    "holds the contents of disks, which are not taken in here: migrate without blk and inc, with the disks on " +
      "storage that both ends share",
  ],
  [
    "dirty-bitmap",
    "holds dirty bitmaps of disks, which are not taken in here: switch the capability dirty-bitmaps off at the source",
  ],
]);
const ANY_LIVE_SECTION =
  "is sent in parts, which is understood of 'ram' 0 only: remove the device or the capability that it belongs to";

/** Sections that are kept: each takes some memory, also when it is empty. Machines have some hundred. */
const MAX_SECTIONS = 65_536;

/** Follows the sections of a machine that is not known, and refuses the ones that are out of turn. */
export class CarriedOrder {
  readonly #seen = new Set<string>();
  #stage: Stage = "early-devices";

  /** Whether devices come in front of `ram`. */
  get early(): boolean {
    return this.#stage === "early-devices";
  }

  /** `ram` START begins. Errors: UNSUPPORTED_SECTION_VERSION, BAD_SECTION_ORDER. */
  startRam({ kind, name, version }: SectionHeader): void {
    if (version !== RAM_SECTION.version) {
      throw unsupportedSectionVersion(name, version, RAM_SECTION.version);
    }
    if (kind !== "start") throw outOfOrder(`Section '${name}' came in one piece instead of by START`);
    if (this.#stage !== "early-devices") throw outOfOrder(`Section '${name}' was started twice`);
    this.#stage = "ram";
  }

  /** `ram` END is complete. */
  endRam(): void {
    this.#stage = "late-devices";
  }

  /** The section of a device begins. Errors: UNKNOWN_SECTION for one with parts, BAD_SECTION_ORDER, LIMIT_EXCEEDED. */
  startDevice({ kind, name, instance }: SectionHeader): void {
    if (kind !== "full") {
      const why = LIVE_SECTIONS.get(name) ?? ANY_LIVE_SECTION;
      throw new MigrationError("UNKNOWN_SECTION", `Section '${name}' ${instance} ${why}`);
    }
    if (this.#stage === "ram") {
      throw outOfOrder(`Section '${name}' came before the end of section '${RAM_SECTION.name}'`);
    }
    const device = `${name} ${instance}`;
    if (this.#seen.has(device)) throw outOfOrder(`Section '${name}' ${instance} came twice`);
    if (this.#seen.size >= MAX_SECTIONS) {
      const text = `${MAX_SECTIONS + 1} device sections are more than the limit of ${MAX_SECTIONS}`;
      throw new MigrationError("LIMIT_EXCEEDED", text);
    }
    this.#seen.add(device);
  }

  /** The end mark was read. Errors: BAD_SECTION_ORDER. */
  endMark(): void {
    if (this.#stage === "late-devices") return;
    const missing = this.#stage === "ram" ? `'${RAM_SECTION.name}' END` : `'${RAM_SECTION.name}'`;
    throw outOfOrder(`The stream ended without section ${missing}`);
  }
}

function outOfOrder(message: string): MigrationError {
  return new MigrationError("BAD_SECTION_ORDER", message);
}
