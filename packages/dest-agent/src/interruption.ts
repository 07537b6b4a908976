import type { MigrationError } from "@peregrine/protocol";

/**
 * Ends the waits of the routines that load from outside: the channel broke, the machine died, the operator gave up.
 *
 * Racing each wait against a promise that lives as long as the connection would keep something in
 * memory for every wait; this keeps only the present ones.
 */
export class Interruption {
  readonly #waits = new Set<(error: MigrationError) => void>();
  #error: MigrationError | undefined;

  /** The first error counts: what follow are its consequences. */
  interrupt(error: MigrationError): void {
    this.#error ??= error;
    for (const reject of this.#waits) reject(this.#error);
  }

  get happened(): boolean {
    return this.#error !== undefined;
  }

  /** What `promise` comes to, or the interruption if that is earlier. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const { promise: result, resolve, reject } = Promise.withResolvers<T>();
    this.#waits.add(reject);
    try {
      if (this.#error !== undefined) reject(this.#error);
      promise.then(resolve, reject);
      return await result;
    } finally {
      this.#waits.delete(reject);
    }
  }
}
