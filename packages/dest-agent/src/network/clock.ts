/** A clock that can be waited for. Times are milliseconds since any moment. */
export interface Clock {
  now(): number;
  /** Calls back at `time`, never before it, or at once when it has passed. @returns how to call that off. */
  at(time: number, callback: () => void): () => void;
}

/** That of this process. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  at(time, callback) {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      timer = setTimeout(
        () => {
          // A timer counts from the beginning of a turn, so one that is set at the end of a long turn comes early.
          if (performance.now() < time) wait();
          else callback();
        },
        Math.max(0, time - performance.now()),
      );
    };
    wait();
    return () => clearTimeout(timer);
  },
};
