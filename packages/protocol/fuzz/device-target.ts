import * as fc from "fast-check";
import {
  cutDevices,
  deviceValue,
  parseVmDescription,
  RamDecoder,
  StreamDecoder,
  walkDevice,
} from "../src/index.ts";
import type { SectionHeader, VmDescription } from "../src/index.ts";
import { describedStream } from "../test/described.ts";
import { mutate, mutations } from "./mutation.ts";
import type { Mutation, Sample } from "./mutation.ts";
import { require, requireKnownCode } from "./oracle.ts";
import { thinnedRecordings } from "./recordings.ts";
import { LIMITS } from "./stream-run.ts";

/** The device sections of a stream with the description behind them. */
interface DeviceSample {
  readonly first: SectionHeader;
  /** From the first payload to the end mark. */
  readonly tail: Sample;
  readonly text: string;
}

/** A change to the description as a tree: something is done to one of its values. */
interface Edit {
  /** Which value, of all of them. */
  readonly value: number;
  readonly action: "set" | "remove" | "double" | "move";
  readonly to: unknown;
  /** Which other value takes the place, for `move`. */
  readonly other: number;
}

const any = fc.noBias(fc.nat());
const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    value: any,
    action: fc.constantFrom("set", "set", "remove", "double", "move"),
    to: fc.oneof(
      fc.constantFrom<unknown>(0, 1, 2, -1, 0.5, 255, 65_536, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e300),
      fc.constantFrom<unknown>("", "bool", "uint64", "int32 le", "struct", null, [], {}, true),
    ),
    other: any,
  }),
  { maxLength: 4 },
);

/** Descriptions and the devices they describe: what does not fit is refused, and what fits lies in its payload. */
export function deviceProperty(): fc.IPropertyWithHooks<unknown> {
  const recordings = thinnedRecordings(["pc-72", "pc-100", "pc23-72-dirty"]);
  const samples = [describedStream(), ...Object.values(recordings)].map(sampleOf);
  return fc.property(fc.nat(samples.length - 1), edits, mutations, mutations, (index, tree, text, tail) => {
    const sample = samples[index]!;
    const description = describe(edited(sample.text, tree), text);
    if (description === undefined) return;
    const bytes = mutate(sample.tail, tail);
    let payloads: readonly Uint8Array[] = description.devices.map(() => bytes.subarray(0, 64));
    refusable(() => {
      const cuts = cutDevices(bytes, sample.first, description);
      payloads = cuts.map(({ offset, length }) => bytes.subarray(offset, offset + length));
      require(cuts.every(({ length }, at) => length === payloads[at]!.length), "a payload that is cut short");
    });
    for (const [at, device] of description.devices.slice(-payloads.length).entries()) {
      refusable(() => requireWalkable(device, payloads[at]!));
    }
  });
}

function describe(text: string, changes: readonly Mutation[]): VmDescription | undefined {
  const sample = { name: "text", bytes: Buffer.from(text), ends: [] };
  const changed = Buffer.from(mutate(sample, changes)).toString();
  let description: VmDescription | undefined;
  refusable(() => {
    description = parseVmDescription(changed);
  });
  return description;
}

function requireWalkable(device: VmDescription["devices"][number], payload: Uint8Array): void {
  let fields = 0;
  let at = 0;
  for (const field of walkDevice(device, payload)) {
    fields += 1;
    const end = field.offset + field.size;
    require(field.offset >= at && end <= payload.length, `a field from ${field.offset} to ${end}`);
    at = end;
    deviceValue(field, payload);
  }
  require(fields <= payload.length + 65_536, `${fields} fields in ${payload.length} bytes`);
}

function refusable(action: () => void): void {
  try {
    action();
  } catch (error) {
    requireKnownCode(error);
  }
}

function edited(text: string, changes: readonly Edit[]): string {
  if (changes.length === 0) return text;
  const root: unknown = JSON.parse(text);
  for (const { value, action, to, other } of changes) {
    const places = placesIn(root);
    // Everything may have been removed.
    if (places.length === 0) break;
    const [parent, key] = places[value % places.length]!;
    const [otherParent, otherKey] = places[other % places.length]!;
    if (action === "set") parent[key] = to;
    else if (action === "remove") delete parent[key];
    else if (action === "move") parent[key] = structuredClone(otherParent[otherKey]);
    else if (Array.isArray(parent)) parent.push(structuredClone(parent[Number(key)]));
  }
  return JSON.stringify(root);
}

/** Every value of a tree with more than one, by what holds it. */
function placesIn(root: unknown): readonly (readonly [parent: Record<string, unknown>, key: string])[] {
  const places: [Record<string, unknown>, string][] = [];
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== "object" || node === null) continue;
    const parent = node as Record<string, unknown>;
    for (const [key, value] of Object.entries(parent)) {
      places.push([parent, key]);
      open.push(value);
    }
  }
  return places;
}

function sampleOf(bytes: Uint8Array): DeviceSample {
  let first: SectionHeader | undefined;
  let from = 0;
  let to = 0;
  let text = "";
  const ends: number[] = [];
  const sink = { blockList: () => {}, zeroPage: () => {}, page: () => {} };
  const ram = new RamDecoder({ limits: LIMITS, sink });
  const decoder = new StreamDecoder({
    limits: LIMITS,
    footers: "detected",
    configuration: "optional",
    handler: {
      configuration: () => {},
      open: (header) => {
        if (header.kind === "start") return ram;
        first ??= header;
        if (first === header) from = decoder.offset;
        return { payload: () => ends.push(decoder.offset - from) };
      },
      command: () => {},
      endMark: () => {
        to = decoder.offset;
      },
      vmDescription: (json) => {
        text = json;
      },
    },
  });
  decoder.push(bytes);
  if (first === undefined || !decoder.finished)
    throw new Error("the stream has no devices with a description");
  return { first, tail: { name: "devices", bytes: bytes.slice(from, to), ends: [ends] }, text };
}
