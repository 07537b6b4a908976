import { MigrationError } from "@peregrine/protocol";

/** Commands of the wire that are not understood here. */
const COMMAND_NAMES: ReadonlyMap<number, string> = new Map([
  [3, "POSTCOPY_ADVISE"],
  [4, "POSTCOPY_LISTEN"],
  [5, "POSTCOPY_RUN"],
  [6, "POSTCOPY_RAM_DISCARD"],
  [7, "PACKAGED"],
  [8, "ENABLE_COLO"],
  [9, "POSTCOPY_RESUME"],
  [10, "RECV_BITMAP"],
  [11, "SWITCHOVER_START"],
]);

export function unsupportedCommand(code: number): MigrationError {
  const name = COMMAND_NAMES.get(code);
  const text =
    name === undefined ? `Unknown command ${code}` : `Command ${name} (${code}) is not supported here`;
  return new MigrationError("BAD_STREAM_COMMAND", text);
}
