import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import {
  cutDevices,
  DEFAULT_LIMITS,
  deviceValue,
  parseVmDescription,
  RamDecoder,
  StreamDecoder,
  walkDevice,
} from "@peregrine/protocol";
import type { DeviceValue, SectionHeader, VmDescription } from "@peregrine/protocol";
import { expect, it } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate } from "./agent-process.ts";

const GUEST = "torture.wasm";
const ARGS = ["--mib", "4", "--rate", "16", "--sweeps", "100000"];

/** Moves a guest from one process to another. @returns every byte that the source sent. */
async function recordMigration(): Promise<Uint8Array> {
  await using host = await Host.create();
  const guest = await host.run(pathOf(GUEST), [], ARGS);
  await guest.until("stdout", /\n/);
  const next = await host.receive("unix");
  const sent: Buffer[] = [];
  const server = createServer((incoming) => {
    const outgoing = connect(next.uri.slice("unix:".length));
    incoming.on("data", (chunk: Buffer) => sent.push(chunk));
    incoming.pipe(outgoing);
    outgoing.pipe(incoming);
    for (const socket of [incoming, outgoing]) socket.on("error", () => undefined);
  });
  const path = join(host.directory, "recorded.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  expect(await migrate(guest, `unix:${path}`)).toMatchObject({ status: "completed" });
  await guest.ended;
  server.close();
  return new Uint8Array(Buffer.concat(sent));
}

interface Section {
  readonly header: SectionHeader;
  readonly payload: Uint8Array;
  /** Where the payload begins in the stream. */
  readonly at: number;
}

interface Parts {
  /** The sections of all devices. */
  readonly sections: readonly Section[];
  /** Behind the last section of `ram`, and behind the end mark. */
  readonly lateAt: number;
  readonly end: number;
  readonly ramBytes: number;
  readonly description: VmDescription;
}

/** Reads a stream as somebody who knows none of its devices. */
function takeApart(bytes: Uint8Array): Parts {
  const sections: Section[] = [];
  const place = { lateAt: 0, end: 0, ramBytes: 0 };
  let description: VmDescription | undefined;
  const ram = new RamDecoder({
    limits: DEFAULT_LIMITS,
    sink: {
      blockList: (blocks) => {
        place.ramBytes = blocks.reduce((sum, { length }) => sum + length, 0);
      },
      zeroPage: () => undefined,
      page: () => undefined,
    },
  });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => undefined,
      open: (header) => {
        if (header.kind === "start") return ram;
        const at = decoder.offset;
        return { payload: (payload) => sections.push({ header, payload: payload.slice(), at }) };
      },
      close: ({ kind }) => {
        if (kind === "end") place.lateAt = decoder.offset;
      },
      command: () => undefined,
      endMark: () => {
        place.end = decoder.offset;
      },
      vmDescription: (text) => {
        description = parseVmDescription(text);
      },
    },
  });
  decoder.push(bytes);
  decoder.end();
  if (description === undefined) throw new Error("the stream has no vmdescription");
  return { ...place, sections, description };
}

const text = (value: DeviceValue | undefined): string => Buffer.from(value as Uint8Array).toString();

it("every section of a moved WebAssembly guest can be walked with the vmdescription alone", async () => {
  const bytes = await recordMigration();
  const { sections, lateAt, end, ramBytes, description } = takeApart(bytes);
  const name = ({ header }: Section): string => header.name;
  expect(sections.map(name)).toEqual(["wasm-module", "wasi-setup", "wasm-cpu", "wasi", "globalstate"]);
  expect(sections.map(({ header }) => [header.name, header.instance, header.version])).toEqual(
    description.devices.map((device) => [
      device.name,
      device.instance_id,
      "version" in device ? device.version : undefined,
    ]),
  );
  const fields = new Map<string, DeviceValue>();
  for (const [index, { header, payload }] of sections.entries()) {
    for (const field of walkDevice(description.devices[index]!, payload)) {
      fields.set(`${header.name}: ${field.path}`, deviceValue(field, payload));
    }
  }

  const module = await readFile(pathOf(GUEST));
  expect(text(fields.get("wasm-module: name"))).toBe(pathOf(GUEST));
  expect(fields.get("wasm-module: module_length")).toBe(module.length);
  expect(Buffer.compare(fields.get("wasm-module: module") as Uint8Array, module)).toBe(0);
  const sum = createHash("sha256").update(module).digest();
  expect(Buffer.compare(fields.get("wasm-module: sha256") as Uint8Array, sum)).toBe(0);
  const args = ARGS.map((_, index) => text(fields.get(`wasi: args[${index + 1}].utf8`)));
  expect(args).toEqual(ARGS);
  expect(fields.get("wasi: argCount")).toBe(1 + ARGS.length);
  expect(fields.get("wasi: exited")).toBe(false);
  const pages = fields.get("wasm-cpu: memory_pages") as number;
  expect(pages * 65_536).toBeGreaterThan(4 << 20);
  expect(pages * 65_536).toBeLessThanOrEqual(ramBytes);
  expect(fields.get("wasm-cpu: frames")).toHaveLength(fields.get("wasm-cpu: frames_length") as number);
  expect(fields.get("wasm-cpu: frames_length")).toBeGreaterThan(0);
  const state = [...fields].filter(([path]) => path.startsWith("globalstate: "));
  expect(state.map(([, value]) => (value instanceof Uint8Array ? text(value) : value))).toEqual([
    8,
    "running".padEnd(100, "\0"),
  ]);

  const late = sections.filter(({ at }) => at > lateAt);
  const cuts = cutDevices(bytes.subarray(late[0]!.at, end), late[0]!.header, description);
  expect(cuts.map(({ header, offset, length }) => [header, late[0]!.at + offset, length])).toEqual(
    late.map(({ header, payload, at }) => [header, at, payload.length]),
  );
});
