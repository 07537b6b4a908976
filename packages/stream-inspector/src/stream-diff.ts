import { WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { CutBy, Limits, SectionHeader, VmDescription, VmDeviceDescription } from "@peregrine/protocol";
import { namedFields, uniqueNames } from "./device-fields.ts";
import type { NamedField } from "./device-fields.ts";
import { DeviceStore, sectionName } from "./device-store.ts";
import type { StoredDevice } from "./device-store.ts";
import { hexOf } from "./hex.ts";
import type { InspectEvent } from "./inspect-events.ts";
import type { PageDigests } from "./page-digests.ts";
import type { InspectListener } from "./stream-inspector.ts";

/** Ranges of differing pages that are named for each block. */
const MOST_RANGES = 8;

/** The same thing in one stream and in the other; null where it is not there. */
export type Values = readonly [NamedField["value"] | null, NamedField["value"] | null];

/** Something in which two streams differ. */
export type StreamDifference =
  | { readonly item: "configuration"; readonly field: string; readonly values: Values }
  /** The block list: bytes of the block in each. */
  | { readonly item: "block"; readonly block: string; readonly values: Values }
  | {
      readonly item: "pages";
      readonly block: string;
      readonly pages: number;
      readonly differing: number;
      /** The first of the ranges that differ, in bytes. */
      readonly ranges: readonly { readonly offset: number; readonly size: number }[];
    }
  /** A section that only one has, or whose versions differ. */
  | { readonly item: "device"; readonly device: string; readonly values: Values }
  /** An empty path is the whole payload, where no vmdescription tells what is in it. */
  | {
      readonly item: "field";
      readonly device: string;
      readonly path: string;
      readonly type: string;
      readonly values: Values;
    };

/** Keeps of a stream what a comparison needs. */
export class StreamContents implements InspectListener {
  readonly digests: PageDigests;
  readonly devices: DeviceStore;
  readonly configuration = new Map<string, string>();

  constructor(limits: Limits, digests: PageDigests) {
    this.devices = new DeviceStore(limits);
    this.digests = digests;
  }

  event(event: InspectEvent): void {
    if (event.item !== "configuration") return;
    const { machineType, targetPageBits, capabilities, uuid } = event;
    this.configuration.set("machine type", machineType);
    if (targetPageBits !== undefined) this.configuration.set("target page bits", String(targetPageBits));
    if (capabilities !== undefined) this.configuration.set("capabilities", capabilities.join(", "));
    if (uuid !== undefined) this.configuration.set("uuid", uuid);
  }

  device(header: SectionHeader, payload: Uint8Array, cutBy: CutBy): void {
    this.devices.add(header, payload, cutBy);
  }

  described(description: VmDescription): void {
    this.devices.description = description;
  }
}

/** What differs: configuration, RAM block list, pages, devices, in this order. */
export function* differences(a: StreamContents, b: StreamContents): Generator<StreamDifference> {
  for (const [field, ...values] of paired(a.configuration, b.configuration)) {
    if (values[0] !== values[1]) yield { item: "configuration", field, values };
  }
  yield* memoryDifferences(a.digests, b.digests);
  const [devicesOfA, devicesOfB] = [byName(a.devices), byName(b.devices)];
  for (const [device, inA, inB] of paired(devicesOfA, devicesOfB)) {
    yield* deviceDifferences(device, [a.devices, inA], [b.devices, inB]);
  }
}

function* memoryDifferences(a: PageDigests, b: PageDigests): Generator<StreamDifference> {
  const blocks = ({ blocks: all }: PageDigests): Map<string, { index: number; bytes: number }> =>
    new Map(all.map(({ name, length: bytes }, index) => [name, { index, bytes }]));
  for (const [block, inA, inB] of paired(blocks(a), blocks(b))) {
    if (inA?.bytes !== inB?.bytes) {
      yield { item: "block", block, values: [inA?.bytes ?? null, inB?.bytes ?? null] };
    }
    if (inA === null || inB === null) continue;
    const pages = Math.max(inA.bytes, inB.bytes) / WIRE_PAGE_SIZE;
    let differing = 0;
    const ranges: { offset: number; size: number }[] = [];
    for (let page = 0; page < pages; page++) {
      if (a.same(inA.index, b, inB.index, page)) continue;
      differing += 1;
      const offset = page * WIRE_PAGE_SIZE;
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.size === offset) last.size += WIRE_PAGE_SIZE;
      else if (ranges.length < MOST_RANGES) ranges.push({ offset, size: WIRE_PAGE_SIZE });
    }
    if (differing > 0) yield { item: "pages", block, pages, differing, ranges };
  }
}

type Side = readonly [store: DeviceStore, device: StoredDevice | null];

function* deviceDifferences(device: string, a: Side, b: Side): Generator<StreamDifference> {
  const [inA, inB] = [a[1], b[1]];
  const versions: Values = [inA?.header.version ?? null, inB?.header.version ?? null];
  if (versions[0] !== versions[1]) yield { item: "device", device, values: versions };
  if (inA === null || inB === null) return;
  const [describedInA, describedInB] = [a[0].describedAs(inA.header), b[0].describedAs(inB.header)];
  // Fields can be compared with fields only.
  const described = describedInA !== undefined && describedInB !== undefined;
  const fieldsOfA = described ? fieldsOf(describedInA, inA.payload) : wholeOf(inA.payload);
  const fieldsOfB = described ? fieldsOf(describedInB, inB.payload) : wholeOf(inB.payload);
  for (const [path, fieldOfA, fieldOfB] of paired(fieldsOfA, fieldsOfB)) {
    const values: Values = [fieldOfA?.value ?? null, fieldOfB?.value ?? null];
    if (values[0] === values[1]) continue;
    yield { item: "field", device, path, type: (fieldOfA ?? fieldOfB)!.type, values };
  }
}

type Field = Pick<NamedField, "type" | "value">;

/** By path. */
function fieldsOf(device: VmDeviceDescription, payload: Uint8Array): Map<string, Field> {
  const unique = uniqueNames();
  const fields = new Map<string, Field>();
  for (const field of namedFields(device, payload)) fields.set(unique(field.path), field);
  return fields;
}

function wholeOf(payload: Uint8Array): Map<string, Field> {
  return new Map([["", { type: "buffer", value: hexOf(payload) }]]);
}

function byName({ devices }: DeviceStore): Map<string, StoredDevice> {
  const unique = uniqueNames();
  return new Map(devices.map((device) => [unique(sectionName(device.header)), device]));
}

/** Every key with its values, in the order of the first map; then those that only the second one has. */
function* paired<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
): Generator<[string, T | null, T | null]> {
  for (const [key, value] of a) yield [key, value, b.get(key) ?? null];
  for (const [key, value] of b) if (!a.has(key)) yield [key, null, value];
}
