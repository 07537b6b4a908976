/** How long work may go on before everything else of its thread has its turn: messages, timers, other sockets. Milliseconds. */
const TURN_MS = 10;

/**
 * A turn of the event loop, for work that need not wait for anything and would never leave it one. Counted in time: how long
 * bytes take depends on what they are.
 */
export class LoopTurn {
  #end = performance.now() + TURN_MS;

  /** Whether the others are due. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Undefined while this turn is not over; otherwise resolves in the next one, behind what has come for the others. */
  next(): Promise<void> | undefined {
    return this.isOver ? this.#next() : undefined;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#end = performance.now() + TURN_MS;
        resolve();
      });
    });
  }
}
