/** Those who are told of something that happens, in the order in which they came. */
export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** @returns a function that ends the subscription. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Calls each listener. Errors: what one throws; the others after it are not told then. */
  tell(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }

  /** The same, where what one throws does not keep the others from being told. @param failed is told what was thrown. */
  tellEach(value: T, failed: (error: unknown) => void): void {
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        failed(error);
      }
    }
  }
}
