import { ByteReader, ByteWriter } from "@peregrine/protocol";
import { encodeState, StateDecoder } from "@peregrine/shared-state";
import type { StateDescription, StateValue } from "@peregrine/shared-state";
import { fromWasiSection, toWasiSection, WASI_STATE } from "@peregrine/machine-wasm";
import type { WasiSection, WasiState } from "@peregrine/machine-wasm";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { linkFrames } from "../../packages/machine-wasm/src/frames.ts";
import { CONTROL, FRAME_TRAILER } from "../../packages/machine-wasm/src/rewrite/control-layout.ts";
import type { FrameSites } from "../../packages/machine-wasm/src/rewrite/rewritten.ts";
import { rewrite } from "../../packages/machine-wasm/src/rewrite/rewrite.ts";
import { loadModule, WASM_CPU, WASM_MODULE } from "../../packages/machine-wasm/src/wasm-devices.ts";
import type { WasmModuleState } from "../../packages/machine-wasm/src/wasm-devices.ts";
import { BLOCKING_IMPORTS, SUPPORTED_IMPORTS } from "@peregrine/machine-wasm";
import { chunkSizes, mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import type { Sample } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { chunked } from "../../packages/protocol/test/support.ts";

const MIB = 2 ** 20;

const WASI: WasiState = {
  args: ["guest", "é"],
  env: ["K=V"],
  preopens: [{ guestPath: "/", hostPath: "/srv" }],
  descriptors: [
    { fd: 0, kind: "console", stream: 0, rights: 2, inheritingRights: 0, flags: 0 },
    {
      fd: 3,
      kind: "directory",
      root: 0,
      path: "",
      gone: false,
      preopened: true,
      rights: 2,
      inheritingRights: 0,
      flags: 0,
    },
    {
      fd: 4,
      kind: "file",
      root: 0,
      path: "a/b",
      gone: false,
      read: true,
      write: true,
      position: 5n,
      size: 9n,
      rights: 2,
      inheritingRights: 0,
      flags: 0,
    },
  ],
  monotonicNs: 10n,
  pollStartedNs: 4n,
  consoleInput: new Uint8Array([1, 2, 3]),
  consoleInputEnded: false,
  exitStatus: undefined,
};

const MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

interface Device {
  readonly description: StateDescription;
  readonly sample: Sample;
  /** What is done with a state that fits the description. */
  readonly use: (value: StateValue) => unknown;
}

function device(description: StateDescription, value: StateValue, use: Device["use"]): Device {
  const writer = new ByteWriter();
  encodeState(description, value, writer);
  const bytes = writer.view().slice();
  // Lengths and counts lie everywhere.
  const ends = [[...bytes.keys()].filter((at) => at % 4 === 0 || bytes[at]! > 0), [bytes.length]];
  return { description, sample: { name: description.name, bytes, ends }, use };
}

/** Frames of a program, one in the other as far as its sites allow. */
function frames(sites: FrameSites, picks: readonly number[]): Uint8Array {
  const parts = picks.map((pick) => {
    const site = pick % (sites.frameBytes.length + 1);
    const size = sites.frameBytes[site] ?? FRAME_TRAILER;
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    view.setUint32(size - FRAME_TRAILER, site, true);
    view.setUint32(size - FRAME_TRAILER + 4, size, true);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** Saved states of a WebAssembly guest: what fits its description is checked before anything is made of it. */
export async function wasmStateProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const program = new Uint8Array(
    readFileSync(new URL("../../examples/guests/recursion.wasm", import.meta.url)),
  );
  const options = {
    supportedImports: SUPPORTED_IMPORTS,
    blockingImports: BLOCKING_IMPORTS,
    releaseMarks: false,
  };
  const { sites } = rewrite(program, options).info;
  const control = new WebAssembly.Memory({
    initial: CONTROL.initialPages,
    maximum: CONTROL.maximumPages,
    shared: true,
  });
  const cpu = {
    memory_pages: 2,
    frames_length: 32,
    frames: new Uint8Array(32),
    globals_length: 4,
    globals: new Uint8Array(4),
    dropped_length: 2,
    dropped: new Uint8Array(2),
    table_count: 2,
    tables: [
      { entry_count: 3, entries: [-1, 0, 1] },
      { entry_count: 0, entries: [] },
    ],
  };
  const module = {
    rewriter: 1,
    stack_mib: 64,
    memory_pages: 2,
    sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", MODULE)),
    name_length: 5,
    name: new TextEncoder().encode("guest"),
    module_length: MODULE.length,
    module: MODULE,
  };
  const devices = [
    device(WASI_STATE, toWasiSection(WASI), (value) => {
      const state = fromWasiSection(value as WasiSection);
      // What was taken can be sent on.
      toWasiSection(state);
    }),
    device(WASM_CPU, cpu, (value) => {
      const { frames: bytes } = value as { frames: Uint8Array };
      return walk(bytes);
    }),
    device(WASM_MODULE, module, (value) => loadModule(value as WasmModuleState)),
  ];
  const walk = (bytes: Uint8Array): void => {
    const room = control.buffer.byteLength - CONTROL.frames;
    new Uint8Array(control.buffer).set(bytes.subarray(0, room), CONTROL.frames);
    linkFrames(control, CONTROL.frames + Math.min(bytes.length, room), sites);
  };
  return fc.asyncProperty(
    fc.nat(devices.length),
    mutations,
    chunkSizes,
    fc.array(fc.nat(), { maxLength: 8 }),
    async (index, changes, sizes, picks) => {
      const chosen = devices[index];
      allocations.reset();
      try {
        if (chosen === undefined) {
          const bytes = frames(sites, picks);
          walk(mutate({ name: "frames", bytes, ends: [[0], [bytes.length]] }, changes));
          return;
        }
        const bytes = mutate(chosen.sample, changes);
        const value = decode(chosen.description, bytes, sizes);
        if (value !== undefined) await chosen.use(value);
        require(allocations.largest <= MIB + 2 * bytes.length, `${allocations.largest} bytes at once`);
      } catch (error) {
        requireKnownCode(error);
      }
    },
  );
}

/** Undefined where bytes are missing. */
function decode(
  description: StateDescription,
  bytes: Uint8Array,
  sizes: readonly number[],
): StateValue | undefined {
  const decoder = new StateDecoder(description);
  const reader = new ByteReader();
  for (const chunk of chunked(bytes, sizes)) {
    reader.push(chunk);
    if (decoder.decode(reader)) return decoder.value;
    reader.detach();
  }
  require(decoder.awaiting !== "", "a decoder that waits for nothing");
  return undefined;
}
