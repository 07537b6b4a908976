import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { WasmMachine, type WasmMachineHost } from "@peregrine/machine-wasm";
import { ByteReader } from "@peregrine/protocol";
import { decoderFor, type Machine, type SavedDevice, type StateValue } from "@peregrine/shared-state";
import { afterAll } from "vitest";
import type { NodeDrives } from "../src/drives/node-drives.ts";
import { nodeWasmHost } from "../src/node-wasm-host.ts";

export const guestModule = (name: string): Uint8Array =>
  readFileSync(new URL(`../../../examples/guests/${name}.wasm`, import.meta.url));

/** One cache for a test file: a guest is rewritten once. */
const directory = mkdtempSync(join(tmpdir(), "peregrine-host-"));
const nowhere = openSync("/dev/null", "w");
afterAll(() => rmSync(directory, { recursive: true }));

export const quietHost = ({
  stdin,
  output = nowhere,
  drives,
}: { stdin?: Readable; output?: number; drives?: NodeDrives | undefined } = {}): WasmMachineHost =>
  nodeWasmHost({ stdin, outputs: { 1: output, 2: output }, cacheDirectory: directory, drives });

export const createGuest = (
  name: string,
  args: readonly string[],
  { host = quietHost(), stackMib = 16 }: { host?: WasmMachineHost; stackMib?: number } = {},
): Promise<WasmMachine> =>
  WasmMachine.create(host, {
    name,
    module: guestModule(name),
    stackMib,
    wasi: { args: [name, ...args], env: [], preopens: [] },
  });

/** A saved section's fields. */
export function fieldsOf(machine: Machine, { name, instance, version, payload }: SavedDevice): StateValue {
  const decoder = decoderFor(machine.devices.descriptions(), name, instance, version);
  const input = new ByteReader();
  input.push(payload);
  if (!decoder.decode(input)) throw new Error(`the section ${name} is not complete`);
  return decoder.value;
}
