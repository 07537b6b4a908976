import { ByteReader, ByteWriter } from "@peregrine/protocol";
import { encodeState, StateDecoder } from "@peregrine/shared-state";
import { fromSection, toSection, WASI_STATE } from "../src/wasi/section.ts";
import type { WasiSection } from "../src/wasi/section.ts";
import type { WasiState } from "../src/wasi/state.ts";

/** The section's bytes. */
export function stateBytes(state: WasiState): Uint8Array {
  const writer = new ByteWriter();
  encodeState(WASI_STATE, toSection(state), writer);
  return writer.view().slice();
}

/** Reads the section from these chunks. */
export function stateFrom(...chunks: Uint8Array[]): WasiState {
  const reader = new ByteReader();
  const decoder = new StateDecoder(WASI_STATE);
  let isComplete = false;
  for (const chunk of chunks) {
    reader.push(chunk);
    isComplete = decoder.decode(reader);
  }
  if (!isComplete || reader.available > 0) throw new Error("the section does not end where its bytes do");
  return fromSection(decoder.value as unknown as WasiSection);
}

/** What arrives at the other end. */
export function moved(state: WasiState): WasiState {
  return stateFrom(stateBytes(state));
}
