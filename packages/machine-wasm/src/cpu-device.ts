import { MigrationError, tooMuchRam } from "@peregrine/protocol";
import { ControlBlock } from "./control-block.ts";
import { linkFrames } from "./frames.ts";
import type { CompiledProgram, CpuState } from "./guest-messages.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import type { WasmCpuState } from "./wasm-devices.ts";
import { growMemory } from "./wasm-ram.ts";

const WASM_PAGE = 65536;

/** What of a guest section `wasm-cpu` is about. */
export interface CpuParts {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
  /** Most that the memory can have, in bytes. */
  readonly maximumBytes: number;
  /** Most that it can have on this host, in bytes. */
  readonly mostBytes: number;
  readonly program: CompiledProgram;
}

/** Saves the processor of a guest that is stopped; `cpu` is what was captured of it. Errors: DEVICE_STATE. */
export function saveCpu({ memory, control, program }: CpuParts, cpu: CpuState): WasmCpuState {
  const end = new ControlBlock(control).framesEnd;
  linkFrames(control, end, program.info.sites);
  const bytes = new Uint8Array(control.buffer);
  const frames = bytes.slice(CONTROL.frames, end);
  const dropped = bytes.slice(CONTROL.dropped, CONTROL.dropped + program.info.droppable);
  return {
    memory_pages: memory.buffer.byteLength / WASM_PAGE,
    frames_length: frames.length,
    frames,
    globals_length: cpu.globals.length,
    globals: cpu.globals,
    dropped_length: dropped.length,
    dropped,
    table_count: cpu.tables.length,
    tables: cpu.tables.map((entries) => ({ entry_count: entries.length, entries: Array.from(entries) })),
  };
}

/** That of a guest which has not begun. */
export function emptyCpu({ memory, program }: CpuParts): WasmCpuState {
  const { droppable } = program.info;
  return {
    memory_pages: memory.buffer.byteLength / WASM_PAGE,
    frames_length: 0,
    frames: new Uint8Array(0),
    globals_length: 0,
    globals: new Uint8Array(0),
    dropped_length: droppable,
    dropped: new Uint8Array(droppable),
    table_count: 0,
    tables: [],
  };
}

/** Places what is in the memories; globals and tables are for the guest thread. Errors: DEVICE_STATE, LIMIT_EXCEEDED. */
export function loadCpu(
  { memory, control, maximumBytes, mostBytes, program }: CpuParts,
  state: WasmCpuState,
): void {
  const bytes = state.memory_pages * WASM_PAGE;
  if (bytes > maximumBytes || bytes < memory.buffer.byteLength) {
    throw new MigrationError(
      "DEVICE_STATE",
      `The guest's memory cannot have ${bytes} bytes: ${memory.buffer.byteLength} were received, the program allows ${maximumBytes}`,
    );
  }
  if (bytes > mostBytes) throw tooMuchRam(bytes, mostBytes);
  growMemory(memory, bytes);
  if (state.dropped.length !== program.info.droppable)
    throw new MigrationError(
      "DEVICE_STATE",
      `The program has ${program.info.droppable} segments, not ${state.dropped.length}`,
    );
  const end = CONTROL.frames + state.frames.length;
  growMemory(control, end);
  const target = new Uint8Array(control.buffer);
  target.set(state.frames, CONTROL.frames);
  target.set(state.dropped, CONTROL.dropped);
  linkFrames(control, end, program.info.sites);
  new ControlBlock(control).framesEnd = end;
}
