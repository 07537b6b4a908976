import type { MigrationError } from "@peregrine/protocol";

/**
 * Ends the wait of one routine from outside: the channel broke, the machine died, the operator gave up.
 *
 * Racing each wait against a promise that lives as long as the connection would keep something in
 * memory for every wait; this keeps only the present one.
 */
export class Interruption {
  #error: MigrationError | undefined;
  #reject: ((error: MigrationError) => void) | undefined;

  /** The first error counts: what follows are its consequences. */
  interrupt(error: MigrationError): void {
    this.#error ??= error;
    this.#reject?.(this.#error);
  }

  /** What `promise` comes to, or the interruption if that is earlier. One wait at a time. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    try {
      return await new Promise((resolve, reject) => {
        this.#reject = reject;
        if (this.#error !== undefined) reject(this.#error);
        promise.then(resolve, reject);
      });
    } finally {
      this.#reject = undefined;
    }
  }
}
