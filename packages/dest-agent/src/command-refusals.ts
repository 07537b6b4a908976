import { commandCode, MigrationError } from "@peregrine/protocol";
import type { Command } from "@peregrine/protocol";

/** Commands of the wire that are not understood here. */
const COMMAND_NAMES: ReadonlyMap<number, string> = new Map([
  [4, "POSTCOPY_LISTEN"],
  [5, "POSTCOPY_RUN"],
  [6, "POSTCOPY_RAM_DISCARD"],
  [7, "PACKAGED"],
  [8, "ENABLE_COLO"],
  [9, "POSTCOPY_RESUME"],
  [10, "RECV_BITMAP"],
]);

export function unsupportedCommand(command: Command): MigrationError {
  return new MigrationError("BAD_STREAM_COMMAND", refusalOf(command));
}

function refusalOf(command: Command): string {
  if (command.kind === "postcopy-advise") {
    const capability = command.pageSizes === undefined ? "dirty-bitmaps" : "postcopy-ram";
    return `Postcopy is not supported here: switch the capability ${capability} off at the source`;
  }
  const code = commandCode(command);
  const name = COMMAND_NAMES.get(code);
  return name === undefined ? `Unknown command ${code}` : `Command ${name} (${code}) is not supported here`;
}
