/** A clock that can be waited for. Times are milliseconds since any moment. */
export interface Clock {
  now(): number;
  /** Calls back at `time`, or at once when it has passed. @returns how to call that off. */
  at(time: number, callback: () => void): () => void;
}

/** That of this process. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  at(time, callback) {
    const timer = setTimeout(callback, Math.max(0, time - performance.now()));
    return () => clearTimeout(timer);
  },
};
