import { MigrationError } from "@peregrine/protocol";

/** Errors: EXEC_NOT_ALLOWED where one of the URIs of a command line stands for a command and the flag is missing. */
export function requireExecAllowed(uris: readonly string[], allowed: boolean): void {
  const command = uris.find((uri) => uri.startsWith("exec:"));
  if (command === undefined || allowed) return;
  throw new MigrationError(
    "EXEC_NOT_ALLOWED",
    `'${command}' runs a command of the shell; give --allow-exec if that is meant`,
  );
}
