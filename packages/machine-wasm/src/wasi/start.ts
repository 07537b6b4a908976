import { MigrationError } from "@peregrine/protocol/errors";
import type { Root } from "./context.ts";
import { DescriptorTable } from "./descriptors.ts";
import type { ConsoleStream, HostFiles } from "./host.ts";
import { closeAll, reason } from "./reopen.ts";
import type { OpenFiles } from "./reopen.ts";
import { CONSOLE_INPUT_RIGHTS, CONSOLE_OUTPUT_RIGHTS, DIRECTORY_RIGHTS, FILE_RIGHTS } from "./rights.ts";
import type { WasiConfig } from "./state.ts";
import { configProblem } from "./validate.ts";

const STREAMS: readonly ConsoleStream[] = [0, 1, 2];

/**
 * What a fresh guest has open: the console as 0, 1 and 2, then the preopened directories.
 * Errors: BAD_PARAMETER for a configuration that no state can hold; NO_SUCH_FILE for a directory.
 */
export function openFresh(config: WasiConfig, files: HostFiles): OpenFiles {
  const problem = configProblem(config);
  if (problem !== undefined)
    throw new MigrationError("BAD_PARAMETER", `the guest cannot be started: ${problem}`);
  const table = new DescriptorTable();
  const roots: Root[] = [];
  for (const stream of STREAMS) {
    const rights = stream === 0 ? CONSOLE_INPUT_RIGHTS : CONSOLE_OUTPUT_RIGHTS;
    table.place(stream, { kind: "console", stream, rights, inheritingRights: 0, flags: 0 });
  }
  try {
    for (const { guestPath, hostPath } of config.preopens) {
      const root = { guestPath, hostPath, handle: openRoot(files, hostPath) };
      roots.push(root);
      table.insert({
        kind: "directory",
        handle: files.openDirectory(root.handle, "."),
        root: roots.length - 1,
        path: "",
        preopened: true,
        listing: undefined,
        rights: DIRECTORY_RIGHTS,
        inheritingRights: DIRECTORY_RIGHTS | FILE_RIGHTS,
        flags: 0,
      });
    }
  } catch (error) {
    closeAll(files, { roots, table });
    throw error;
  }
  return { roots, table };
}

function openRoot(files: HostFiles, hostPath: string): number {
  try {
    return files.openRoot(hostPath);
  } catch (error) {
    throw new MigrationError("NO_SUCH_FILE", `the guest's directory ${hostPath} ${reason(error)}`, {
      cause: error,
    });
  }
}
