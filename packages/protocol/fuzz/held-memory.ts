import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type * as fc from "fast-check";
import { require } from "./oracle.ts";

const MIB = 2 ** 20;

/** Bytes that one run may leave behind beyond what was there when fuzzing began, unless a target says otherwise. */
const MOST_HELD = 64 * MIB;

/** Bytes of objects, and of the arrays outside of them. */
export interface MemoryUse {
  /** The most that there was behind a run, with what was not collected yet. */
  readonly peak: number;
  /** The most that was left of that by a collection, beyond what was there in the beginning. */
  readonly held: number;
}

setFlagsFromString("--expose-gc");
const collectOnce = runInNewContext("gc") as () => void;

/** The first time the buffers of arrays are only found to be free; they are freed at the latest by the second. */
function collect(): void {
  collectOnce();
  collectOnce();
}

/** Looks behind every run how much memory there is, and collects when it is more than may be held. */
export class HeldMemory {
  readonly #most: number;
  #base = 0;
  #peak = 0;
  #held = 0;

  constructor(most: number = MOST_HELD) {
    this.#most = most;
    collect();
    this.#base = used();
  }

  get use(): MemoryUse {
    return { peak: this.#peak, held: this.#held };
  }

  /** The same property, which also fails when a run leaves too much behind. */
  watched(property: fc.IAsyncPropertyWithHooks<unknown>): fc.IAsyncPropertyWithHooks<unknown> {
    const run = property.run.bind(property);
    // One that is not asynchronous gives its result itself, and is to go on doing so.
    const watching = (value: unknown): unknown => {
      const result: unknown = run(value);
      return result instanceof Promise
        ? result.then((ended: unknown) => this.#resultOf(ended))
        : this.#resultOf(result);
    };
    Object.defineProperty(property, "run", { value: watching });
    return property;
  }

  /** Of a run: null where nothing was wrong. */
  #resultOf(result: unknown): unknown {
    if (result !== null) return result;
    try {
      this.#check();
      return null;
    } catch (error) {
      return { error };
    }
  }

  #check(): void {
    const now = used();
    this.#peak = Math.max(this.#peak, now);
    if (now <= this.#base + this.#most) return;
    collect();
    const held = used() - this.#base;
    this.#held = Math.max(this.#held, held);
    require(held <= this.#most, `${held} bytes are held behind a run, and ${this.#most} are allowed`);
  }
}

function used(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
