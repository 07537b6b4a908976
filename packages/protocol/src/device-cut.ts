import { deviceBytes } from "./device-layout.ts";
import { MigrationError } from "./errors.ts";
import type { SectionHeader } from "./messages.ts";
import { isFooter, scanItem } from "./section-scan.ts";
import type { ScannedItem } from "./section-scan.ts";
import type { VmDescription, VmDeviceDescription } from "./vm-description.ts";
import { COMMAND_CODE } from "./wire.ts";

/** A device section in a buffered tail of a stream. */
export interface DeviceCut {
  readonly header: SectionHeader;
  readonly device: VmDeviceDescription;
  /** Where its payload begins in the tail. */
  readonly offset: number;
  /** Bytes of its payload. */
  readonly length: number;
}

const FOOTER_BYTES = 5;

/**
 * Cuts the last sections of a stream, up to the end mark, into their payloads. Everything has to fit:
 * the names and instances in their order, the footers (all sections have one or none has), the end mark as
 * the last byte of the tail.
 *
 * @param tail from the first payload to the end mark, which is its last byte.
 * @param first the header in front of the tail.
 * Errors: BAD_SECTION, naming the device at which the description does not fit.
 */
export function cutDevices(
  tail: Uint8Array,
  first: SectionHeader,
  description: VmDescription,
): readonly DeviceCut[] {
  const { devices } = description;
  let index = devices.findIndex((device) => describes(device, first));
  let header = first;
  let offset = 0;
  let footers: boolean | undefined;
  const cuts: DeviceCut[] = [];
  for (;;) {
    const device = devices[index];
    if (device === undefined || !describes(device, header)) throw misfit(header, "has another section there");
    const length = deviceBytes(device);
    let at = offset + length;
    if (!(at < tail.length)) throw misfit(header, `gives it ${length} bytes, more than there are`);
    cuts.push({ header, device, offset, length });
    const footer = isFooter(tail, at, header.id) === true;
    footers ??= footer;
    if (footer !== footers) throw misfit(header, `gives it ${length} bytes, and no footer is behind them`);
    if (footer) at += FOOTER_BYTES;
    const next = itemBehindCommands(tail, at);
    if (next.item === "end-mark" && next.end === tail.length && index === devices.length - 1) return cuts;
    if (next.item !== "full") throw misfit(header, `gives it ${length} bytes, and no section follows them`);
    header = next.header;
    offset = next.end;
    index += 1;
  }
}

function itemBehindCommands(bytes: Uint8Array, at: number): ScannedItem {
  let next = scanItem(bytes, at);
  // A package has no description: the footers tell what is in it.
  while (next.item === "command" && next.code !== COMMAND_CODE.packaged) next = scanItem(bytes, next.end);
  return next;
}

function describes(device: VmDeviceDescription, { name, instance }: SectionHeader): boolean {
  return device.name === name && device.instance_id === instance;
}

function misfit({ name, instance }: SectionHeader, what: string): MigrationError {
  return new MigrationError(
    "BAD_SECTION",
    `The vmdescription does not fit the section '${name}' ${instance}: it ${what}`,
    { section: name },
  );
}
