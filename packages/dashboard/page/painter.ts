/** Milliseconds between two drawings: often enough to be live, and seldom enough to be read. */
const LEAST_PAUSE_MS = 500;

/** However long a drawing takes, what is shown is never older. */
const MOST_PAUSE_MS = 1000;

/**
 * A drawing takes at most so small a part of the time: the processors are those of the migration, too. On a busy machine
 * a drawing takes longer, so there are fewer.
 */
const SHARE = 1 / 50;

/** Draws when there is something new, at a frame of the browser, and not more often than it can be afforded. */
export class Painter {
  readonly #draw: () => void;
  #isDue = false;
  #next = 0;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  /** There is something new. */
  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const wait = this.#next - performance.now();
    if (wait <= 0) this.#atNextFrame();
    else setTimeout(() => this.#atNextFrame(), wait);
  }

  /** Somebody waits for it. */
  hurry(): void {
    this.#next = 0;
    this.#atNextFrame();
  }

  #atNextFrame(): void {
    requestAnimationFrame((start) => {
      this.#isDue = false;
      this.#draw();
      // What comes next is run when the browser has laid out and painted, too.
      const channel = new MessageChannel();
      channel.port1.addEventListener("message", () => {
        channel.port1.close();
        this.#next = start + pauseAfter(performance.now() - start);
      });
      channel.port1.start();
      channel.port2.postMessage(null);
    });
  }
}

/** How long nothing is drawn from the beginning of a drawing on that took `cost` milliseconds. Milliseconds. */
export function pauseAfter(cost: number): number {
  return Math.min(Math.max(cost / SHARE, LEAST_PAUSE_MS), MOST_PAUSE_MS);
}
