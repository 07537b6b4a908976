/**
 * Milliseconds from one drawing to the next: often enough to be followed, and seldom enough to be read. The processors are
 * those of the migration, too.
 */
export const PAUSE_MS = 1000;

/** Draws when there is something new, at a frame of the browser. */
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
      this.#next = start + PAUSE_MS;
      this.#draw();
    });
  }
}
