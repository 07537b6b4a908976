import { CONTROL } from "./rewrite/control-layout.ts";

/** What the agent asks of the guest thread. Exactly one request is under way at a time. */
export const REQUEST = { none: 0, stop: 1, useTracked: 2, usePlain: 3 } as const;
export type Request = (typeof REQUEST)[keyof typeof REQUEST];

// Indexes of 32-bit words in the control memory.
const FLAG = CONTROL.flag / 4;
const FRAMES_END = CONTROL.framesEnd / 4;
const SAVED = CONTROL.saved / 4;
const REQUEST_WORD = CONTROL.request / 4;
const WAKE_WORD = CONTROL.wake / 4;
const THROTTLE_WORD = CONTROL.throttle / 4;

/** The words of the control memory by which the agent and the guest thread talk. */
export class ControlBlock {
  readonly memory: WebAssembly.Memory;
  readonly #words: Int32Array;
  #seenWakes = 0;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer, 0, CONTROL.mask / 4);
  }

  /** Agent: asks, and makes the guest unwind at its next safepoint, also out of a host call that waits. */
  request(request: Request): void {
    Atomics.store(this.#words, REQUEST_WORD, request);
    Atomics.store(this.#words, FLAG, 1);
    this.wake();
  }

  /** Agent: makes a guest that waits in a host call look again. */
  wake(): void {
    Atomics.add(this.#words, WAKE_WORD, 1);
    Atomics.notify(this.#words, WAKE_WORD);
  }

  /** Agent: makes the guest unwind for nothing but its throttling sleep. */
  interrupt(): void {
    Atomics.store(this.#words, FLAG, 1);
  }

  /** Agent: the share of time that the guest is to be kept from running; one that sleeps for it looks again. */
  setThrottle(percentage: number): void {
    Atomics.store(this.#words, THROTTLE_WORD, percentage);
    this.wake();
  }

  /** Guest thread: percentage of time that it is to be kept from running. */
  get throttle(): number {
    return Atomics.load(this.#words, THROTTLE_WORD);
  }

  /** Guest thread: whether {@link takeRequest} would find one. */
  get hasRequest(): boolean {
    return Atomics.load(this.#words, REQUEST_WORD) !== REQUEST.none;
  }

  /** Guest thread: true when it is asked to unwind. */
  interrupted(): boolean {
    return Atomics.load(this.#words, FLAG) !== 0;
  }

  /**
   * Guest thread: sleeps until there is a wake or the time is over. A wake since the last return from here ends it at once, so
   * a reason to go on that came after the caller looked is not slept over.
   */
  wait(timeoutMs: number): void {
    Atomics.wait(this.#words, WAKE_WORD, this.#seenWakes, timeoutMs);
    this.#seenWakes = Atomics.load(this.#words, WAKE_WORD);
  }

  /** Guest thread, after unwinding: takes the request. The flag is cleared first, so that a request made now is seen. */
  takeRequest(): Request {
    Atomics.store(this.#words, FLAG, 0);
    return Atomics.exchange(this.#words, REQUEST_WORD, REQUEST.none) as Request;
  }

  get framesEnd(): number {
    return Atomics.load(this.#words, FRAMES_END);
  }

  set framesEnd(address: number) {
    Atomics.store(this.#words, FRAMES_END, address);
  }

  /** Guest thread: whether anything was saved since {@link clearSaved}, so that the frames are not what they were. */
  get hasSaved(): boolean {
    return Atomics.load(this.#words, SAVED) !== 0;
  }

  clearSaved(): void {
    Atomics.store(this.#words, SAVED, 0);
  }
}
