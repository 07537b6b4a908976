import { MigrationError } from "@peregrine/protocol";
import type { SectionHeader } from "@peregrine/protocol";
import { DeviceStore, fieldTree, hexOf, namedFields, sectionName } from "@peregrine/stream-inspector";
import type { InspectListener, StoredDevice } from "@peregrine/stream-inspector";
import type { StreamSource } from "../inspect-options.ts";
import { valueText } from "./field-text.ts";
import { inspectInputs, inspectLimits } from "./inspect-input.ts";
import type { Output } from "./output.ts";
import { counted } from "./table.ts";

/** Names that are listed where the one asked for is not among them. */
const MOST_NAMES = 1000;
const DUMP_BYTES = 32;

/** The fields of one device. @returns the exit status. Errors: BAD_PARAMETER; the first fault of the stream. */
export async function showDevice(source: StreamSource, device: string, output: Output): Promise<number> {
  const wanted = ({ name, instance }: SectionHeader): boolean =>
    name === device || `${name}/${instance}` === device;
  const names: string[] = [];
  const store = new DeviceStore(inspectLimits(source), wanted);
  const listener: InspectListener = {
    device: (header, payload, cutBy) => {
      if (names.length < MOST_NAMES) names.push(sectionName(header));
      store.add(header, payload, cutBy);
    },
    described: (description) => {
      store.description = description;
    },
  };
  const { fault } = await inspectInputs(source, { listener });
  for (const stored of store.devices) {
    if (output.json) output.object(deviceObject(store, stored));
    else for (const line of deviceLines(store, stored)) output.line(line);
    await output.ready();
  }
  if (fault !== undefined) throw fault;
  if (store.devices.length === 0) throw noSuchDevice(device, names);
  return 0;
}

function deviceObject(store: DeviceStore, { header, payload, cutBy }: StoredDevice): object {
  const { name, instance, version } = header;
  const described = store.describedAs(header);
  return {
    item: "device",
    name,
    instance,
    version,
    bytes: payload.length,
    cutBy,
    ...(described === undefined ? { data: hexOf(payload) } : { fields: fieldTree(described, payload) }),
  };
}

function* deviceLines(store: DeviceStore, { header, payload, cutBy }: StoredDevice): Generator<string> {
  const size = counted(payload.length, "byte");
  yield `${sectionName(header)}: version ${header.version}, ${size}, by ${cutBy}`;
  const described = store.describedAs(header);
  if (described === undefined) {
    yield "  The stream does not describe its fields.";
    yield* dumpLines(payload);
    return;
  }
  for (const field of namedFields(described, payload)) {
    yield `  ${field.path}  ${field.type}  ${valueText(field.value, field.type)}`;
  }
}

function* dumpLines(payload: Uint8Array): Generator<string> {
  for (let at = 0; at < payload.length; at += DUMP_BYTES) {
    yield `  ${at.toString(16).padStart(6, "0")}  ${hexOf(payload.subarray(at, at + DUMP_BYTES))}`;
  }
}

function noSuchDevice(device: string, names: readonly string[]): MigrationError {
  const there = names.length === 0 ? "none that could be told apart" : names.join(", ");
  return new MigrationError("BAD_PARAMETER", `The stream has no device '${device}'; it has ${there}`);
}
