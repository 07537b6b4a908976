/**
 * The point that the main stream and all multifd channels have to come to before any of them goes on: a page that is
 * sent again behind it may come on another channel.
 */
export class Meeting {
  readonly #channels: number;
  #arrived: (() => void)[] = [];
  #complete: (() => void) | undefined;

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** A channel is here. The promise ends when it may go on. */
  arrive(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived.push(resolve);
      if (this.#arrived.length === this.#channels) this.#complete?.();
    });
  }

  /** The main stream is here. The promise ends when all channels have come, and lets them go on. */
  async meet(): Promise<void> {
    if (this.#arrived.length < this.#channels) {
      await new Promise<void>((resolve) => {
        this.#complete = resolve;
      });
    }
    for (const goOn of this.#arrived.splice(0)) goOn();
  }
}
