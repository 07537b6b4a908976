import { MigrationError } from "@peregrine/protocol";

/** Carries out an action on a file. Errors: WRITE_FAILED for whatever the system says against it. */
export function attemptWrite<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const { code = "an unknown error" } = cause as NodeJS.ErrnoException;
    throw new MigrationError("WRITE_FAILED", `'${path}' cannot be written: ${code}`, { cause });
  }
}
