import { deviceBytes, MigrationError, RAM_SECTION, WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { CutBy, Limits, SectionHeader, VmDescription, VmDeviceDescription } from "@peregrine/protocol";
import { namedFields } from "./device-fields.ts";
import { DeviceStore, sectionName } from "./device-store.ts";
import type { StoredDevice } from "./device-store.ts";
import type { CommandEvent, InspectEvent, SectionEvent } from "./inspect-events.ts";
import type { InspectListener } from "./stream-inspector.ts";
import type { StreamSummary } from "./stream-summary.ts";

/**
 * Finds faults that a stream can be read in spite of. Each is thrown as a MigrationError at its place; a reading
 * without one goes on to {@link requireComplete}.
 */
export class StrictCheck implements InspectListener {
  readonly #devices: DeviceStore;
  readonly #open = new Map<number, string>();
  readonly #seen = new Set<string>();
  #postcopy: "none" | "advised" | "listening" = "none";

  constructor(limits: Limits) {
    this.#devices = new DeviceStore(limits);
  }

  event(event: InspectEvent): void {
    switch (event.item) {
      case "section":
        this.#section(event);
        return;
      case "command":
        this.#command(event);
        return;
      case "end-mark":
        this.#endMark();
        return;
      default:
    }
  }

  device(header: SectionHeader, payload: Uint8Array, cutBy: CutBy): void {
    this.#devices.add(header, payload, cutBy);
  }

  described(description: VmDescription): void {
    const { devices } = this.#devices;
    for (const [index, described] of description.devices.entries()) {
      requireFit(devices[index], described);
    }
    const extra = devices[description.devices.length];
    if (extra !== undefined) throw misfit(`it does not describe the section '${sectionName(extra.header)}'`);
  }

  /** The stream came to its end. Errors: BAD_SECTION_ORDER without `ram`, BAD_RAM_PAGE when pages never came. */
  requireComplete({ blocks, channels }: StreamSummary): void {
    if (blocks.length === 0) throw new MigrationError("BAD_SECTION_ORDER", "The stream has no section 'ram'");
    for (const { name, bytes, counts, missingPages, firstMissing = 0, address } of blocks) {
      // With x-ignore-shared the list has blocks whose pages stay where they are.
      const elsewhere = address !== undefined && counts.bytes === 0;
      if (missingPages === 0 || elsewhere) continue;
      const hint =
        channels.length > 0 ? "" : "; if they were sent on multifd channels, name the files of those, too";
      throw new MigrationError(
        "BAD_RAM_PAGE",
        `${missingPages} of ${bytes / WIRE_PAGE_SIZE} pages of RAM block '${name}' never came, the first at offset ` +
          `0x${firstMissing.toString(16)}${hint}`,
        { section: RAM_SECTION.name },
      );
    }
  }

  #section({ kind, id, name, instance, ram }: SectionEvent): void {
    const label = sectionName({ name, instance });
    if (kind === "start") this.#open.set(id, label);
    if (kind === "end") this.#open.delete(id);
    if (kind === "start" || kind === "full") {
      if (this.#seen.has(label)) {
        throw new MigrationError("BAD_SECTION_ORDER", `The section '${label}' came twice`);
      }
      this.#seen.add(label);
    }
    if (ram !== undefined && ram.deltasWithoutPage > 0) {
      throw new MigrationError(
        "BAD_RAM_PAGE",
        `The section has ${ram.deltasWithoutPage} deltas for pages that had not come before`,
      );
    }
  }

  #command({ command }: CommandEvent): void {
    switch (command.kind) {
      case "other":
        throw new MigrationError("BAD_STREAM_COMMAND", `The command ${command.code} is unknown`);
      case "postcopy-advise":
        this.#postcopy = "advised";
        return;
      case "postcopy-ram-discard":
        if (this.#postcopy === "none") throw outOfTurn("POSTCOPY_RAM_DISCARD", "POSTCOPY_ADVISE");
        return;
      case "postcopy-listen":
        if (this.#postcopy === "none") throw outOfTurn("POSTCOPY_LISTEN", "POSTCOPY_ADVISE");
        this.#postcopy = "listening";
        return;
      case "postcopy-run":
        if (this.#postcopy !== "listening") throw outOfTurn("POSTCOPY_RUN", "POSTCOPY_LISTEN");
        return;
      default:
    }
  }

  #endMark(): void {
    const [left] = this.#open.values();
    if (left === undefined) return;
    throw new MigrationError("BAD_SECTION_ORDER", `The section '${left}' was started and has not ended`);
  }
}

function requireFit(device: StoredDevice | undefined, described: VmDeviceDescription): void {
  const name = sectionName({ name: described.name, instance: described.instance_id });
  if (device === undefined) throw misfit(`it describes a section '${name}' that the stream does not have`);
  const received = sectionName(device.header);
  if (received !== name) throw misfit(`it describes '${name}' where the stream has '${received}'`);
  const bytes = deviceBytes(described);
  if (bytes !== device.payload.length) {
    throw misfit(`it gives '${name}' ${bytes} bytes, and the section has ${device.payload.length}`);
  }
  const fields = namedFields(described, device.payload);
  while (fields.next().done !== true);
}

function misfit(why: string): MigrationError {
  return new MigrationError("BAD_SECTION", `The vmdescription does not fit the stream: ${why}`);
}

function outOfTurn(command: string, before: string): MigrationError {
  return new MigrationError("BAD_STREAM_COMMAND", `The command ${command} came without ${before} before it`);
}
