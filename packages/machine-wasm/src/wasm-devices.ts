import { MigrationError } from "@peregrine/protocol";
import { defineState, type StateOf } from "@peregrine/shared-state";
import { LARGEST_STACK_MIB } from "./guest-messages.ts";
import { CONTROL, GLOBALS_LIMIT } from "./rewrite/control-layout.ts";
import { REWRITER_VERSION } from "./rewrite/rewrite.ts";

/** Largest module that is taken from a peer. */
const MODULE_LIMIT = 256 * 1024 * 1024;
const FRAMES_LIMIT = CONTROL.maximumPages * 65536 - CONTROL.frames;
const TABLE_ENTRIES_LIMIT = 1024 * 1024;

/** Early section: which program the guest runs. Sent before RAM, so that the destination compiles it meanwhile. */
export const WASM_MODULE = defineState({
  name: "wasm-module",
  version: 2,
  fields: [
    /** Frames fit only a module that was rewritten in the same way. */
    { name: "rewriter", type: "uint32" },
    /** Stack of the guest thread: what fits at the source must fit at the destination. */
    { name: "stack_mib", type: "uint32" },
    /** Size of the linear memory in 64 KiB pages when the migration began: the destination has it at once. */
    { name: "memory_pages", type: "uint32" },
    { name: "sha256", type: "buffer", length: 32 },
    { name: "name_length", type: "uint16" },
    { name: "name", type: "buffer", length: { from: "name_length", max: 4096 } },
    { name: "module_length", type: "uint32" },
    { name: "module", type: "buffer", length: { from: "module_length", max: MODULE_LIMIT } },
  ],
});

/** Late section: the processor. */
export const WASM_CPU = defineState({
  name: "wasm-cpu",
  version: 1,
  fields: [
    /** Size of the linear memory in 64 KiB pages. */
    { name: "memory_pages", type: "uint32" },
    /** Saved frames, innermost first; none when the program was not started yet. */
    { name: "frames_length", type: "uint32" },
    { name: "frames", type: "buffer", length: { from: "frames_length", max: FRAMES_LIMIT } },
    { name: "globals_length", type: "uint32" },
    { name: "globals", type: "buffer", length: { from: "globals_length", max: GLOBALS_LIMIT } },
    { name: "dropped_length", type: "uint32" },
    { name: "dropped", type: "buffer", length: { from: "dropped_length", max: CONTROL.droppedBytes } },
    { name: "table_count", type: "uint32" },
    {
      name: "tables",
      type: "array",
      count: { from: "table_count", max: 1024 },
      of: {
        name: "wasm-table",
        version: 1,
        fields: [
          { name: "entry_count", type: "uint32" },
          /** Function indexes, -1 for null. */
          {
            name: "entries",
            type: "array",
            of: "int32",
            count: { from: "entry_count", max: TABLE_ENTRIES_LIMIT },
          },
        ],
      },
    },
  ],
});

export type WasmModuleState = StateOf<typeof WASM_MODULE>;
export type WasmCpuState = StateOf<typeof WASM_CPU>;

/** What a guest runs, apart from its arguments. */
export interface ProgramIdentity {
  /** For people: the file's name. */
  readonly name: string;
  readonly module: Uint8Array;
  readonly stackMib: number;
}

/** A program whose SHA-256 is known. */
export interface HashedProgram extends ProgramIdentity {
  readonly sha256: Uint8Array;
}

const digest = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** Has what hashes loaded, so that a program that comes is not kept waiting for it. Never rejects. */
export async function prepareHash(): Promise<void> {
  await digest(new Uint8Array()).catch(() => undefined);
}

/** @returns the same with its SHA-256, which takes a while for a large one. */
export async function hashedProgram({ name, module, stackMib }: ProgramIdentity): Promise<HashedProgram> {
  return { name, module, stackMib, sha256: await digest(module) };
}

/** @param memoryPages that the guest's memory has now. */
export function saveModule(
  { name, module, stackMib, sha256 }: HashedProgram,
  memoryPages: number,
): WasmModuleState {
  const encodedName = new TextEncoder().encode(name).subarray(0, 4096);
  return {
    rewriter: REWRITER_VERSION,
    stack_mib: stackMib,
    memory_pages: memoryPages,
    sha256,
    name_length: encodedName.length,
    name: encodedName,
    module_length: module.length,
    module,
  };
}

/** Errors: DEVICE_STATE when the module is damaged or was rewritten in another way. */
export async function loadModule(state: WasmModuleState): Promise<HashedProgram> {
  const bad = (why: string): MigrationError =>
    new MigrationError("DEVICE_STATE", why, { section: WASM_MODULE.name });
  if (state.rewriter !== REWRITER_VERSION)
    throw bad(
      `The source rewrites programs by version ${state.rewriter}, this host by version ${REWRITER_VERSION}; use the same release on both`,
    );
  if (state.stack_mib < 1 || state.stack_mib > LARGEST_STACK_MIB)
    throw bad(`A stack of ${state.stack_mib} MiB is not possible; it may have 1 to ${LARGEST_STACK_MIB}`);
  const name = new TextDecoder().decode(state.name);
  const program = await hashedProgram({ name, module: state.module, stackMib: state.stack_mib });
  if (program.sha256.some((byte, index) => byte !== state.sha256[index]))
    throw bad("The program does not have the SHA-256 that the source says it has");
  return program;
}
