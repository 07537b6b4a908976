import { MigrationError } from "@peregrine/protocol";
import { WASI_LIMITS, type WasiState } from "./wasi/index.ts";

/** Where console input comes from. Between `detach` and `attach` no byte is taken from it. */
export interface ConsoleSource {
  attach(wake: () => void): void;
  detach(): void;
  /** What was taken from it and has not come to the guest's thread. It stays there: the guest may go on here. */
  unread(): UnreadInput;
}

/** Console input that waits for the guest. */
export interface UnreadInput {
  readonly bytes: Uint8Array;
  /** Nothing follows `bytes`. */
  readonly ended: boolean;
}

/** The setup is for looking at the files only. */
export const NO_INPUT = { consoleInput: new Uint8Array(0), consoleInputEnded: false };

/** The state with the input that has not come to the guest's thread yet. Errors: DEVICE_STATE when that is too much. */
export function withUnread(state: WasiState, unread: UnreadInput): WasiState {
  const length = state.consoleInput.length + unread.bytes.length;
  if (length > WASI_LIMITS.consoleInputBytes) {
    throw new MigrationError(
      "DEVICE_STATE",
      `The guest cannot be moved now: ${length} bytes of console input wait for it, and ${WASI_LIMITS.consoleInputBytes} can travel; let it read some and migrate again`,
    );
  }
  const consoleInput = new Uint8Array(length);
  consoleInput.set(state.consoleInput);
  consoleInput.set(unread.bytes, state.consoleInput.length);
  return { ...state, consoleInput, consoleInputEnded: state.consoleInputEnded || unread.ended };
}
