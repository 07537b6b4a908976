import type { MigrationError } from "@peregrine/protocol";

/**
 * A promise that may reject while its caller is still waiting for an earlier one; without a handler
 * of its own that would end the process. The caller sees the rejection all the same.
 */
export function handled(
  executor: (resolve: (then?: Promise<void>) => void, reject: (error: MigrationError) => void) => void,
): Promise<void> {
  const promise = new Promise<void>(executor);
  promise.catch(() => {});
  return promise;
}

/** The same of what is refused at once. */
export function refused(error: MigrationError): Promise<void> {
  return handled((_resolve, reject) => reject(error));
}
