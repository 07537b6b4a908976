import type { HostConsole } from "./host.ts";
import { WASI_LIMITS } from "./state.ts";

const NOTHING = new Uint8Array(0);

/** Console input as the guest sees it: first what came along from the last host, then what this host has. */
export class ConsoleInput {
  readonly #console: HostConsole;
  #carried: Uint8Array;
  #ended: boolean;

  constructor(console: HostConsole, carried: Uint8Array = NOTHING, ended = false) {
    this.#console = console;
    this.#carried = carried.slice();
    this.#ended = ended;
  }

  /** As {@link HostConsole.read}. */
  read(target: Uint8Array): number | undefined {
    if (this.#carried.length > 0) {
      const part = this.#carried.subarray(0, target.length);
      target.set(part);
      this.#carried = this.#carried.subarray(part.length);
      return part.length;
    }
    if (this.#ended) return undefined;
    const length = this.#console.read(target);
    if (length === undefined) this.#ended = true;
    return length;
  }

  /** As {@link HostConsole.readable}. */
  readable(): number | "end" {
    if (this.#carried.length > 0) return this.#carried.length;
    return this.#ended ? "end" : this.#console.readable();
  }

  /**
   * Takes what is at hand over from the host's console, up to the limit of a state, and returns all
   * that is unread. Nothing is lost when the guest goes on here: it reads the same bytes later.
   */
  capture(): { unread: Uint8Array; ended: boolean } {
    const all = new Uint8Array(WASI_LIMITS.consoleInputBytes);
    all.set(this.#carried);
    let length = this.#carried.length;
    while (!this.#ended && length < all.length) {
      const taken = this.#console.read(all.subarray(length));
      if (taken === undefined) this.#ended = true;
      else if (taken === 0) break;
      else length += taken;
    }
    this.#carried = all.slice(0, length);
    return { unread: this.#carried.slice(), ended: this.#ended };
  }
}
