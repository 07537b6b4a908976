import { MigrationError } from "@peregrine/protocol";
import type { MessagePort } from "node:worker_threads";
import type { MessageToMain, MessageToThread } from "./thread-messages.ts";

type Kind = MessageToThread["kind"];
type MessageOf<K extends Kind> = Extract<MessageToThread, { kind: K }>;

/**
 * The migration thread's end of its conversation with the main thread, and the one place where the attempt
 * is given up: by the main thread's `abort` or by {@link fail}. The first reason is the one that counts.
 */
export class MainLink {
  readonly #port: MessagePort;
  readonly #abort = new AbortController();
  readonly #aborted: Promise<never>;
  readonly #awaited = new Map<Kind, (message: MessageToThread) => void>();
  #wakeSleeper: (() => void) | undefined;
  /** Something has changed since the last sleep. */
  #changed = false;
  #switchOver = false;
  #converge = false;
  readonly #revoked = Promise.withResolvers<void>();

  constructor(port: MessagePort) {
    this.#port = port;
    this.#aborted = new Promise((_, reject) => {
      this.signal.addEventListener("abort", () => reject(this.#reason));
    });
    this.#aborted.catch(() => {});
    port.on("message", (message: MessageToThread) => this.#onMessage(message));
  }

  /** Aborted when the attempt is given up; the reason is a MigrationError. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Resolves when the main thread wants the guest back although the stream is complete. */
  get revoked(): Promise<void> {
    return this.#revoked.promise;
  }

  /** The main thread wants the guest stopped for what is left, however much it is. */
  get switchOverWanted(): boolean {
    return this.#switchOver;
  }

  /** The main thread wants the guest throttled, whatever the capabilities say. */
  get convergenceWanted(): boolean {
    return this.#converge;
  }

  post(message: MessageToMain): void {
    this.#port.postMessage(message);
  }

  /** Gives up the attempt. */
  fail(error: MigrationError): void {
    if (this.signal.aborted) return;
    this.#abort.abort(error);
    this.wake();
  }

  /** Throws the reason when the attempt was given up. */
  check(): void {
    if (this.signal.aborted) throw this.#reason;
  }

  /** `promise`, or a rejection as soon as the attempt is given up. */
  orAbort<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#aborted]);
  }

  /** Sends `question` and waits for the answer. */
  ask<K extends Kind>(question: MessageToMain, answer: K): Promise<MessageOf<K>> {
    const message = this.message(answer);
    this.post(question);
    return message;
  }

  /** The next message of that kind. A rejection need not be handled: every other wait is rejected as well. */
  message<K extends Kind>(kind: K): Promise<MessageOf<K>> {
    const next = new Promise<MessageToThread>((resolve) => {
      this.#awaited.set(kind, resolve);
    });
    const message = this.orAbort(next) as Promise<MessageOf<K>>;
    message.catch(() => {});
    return message;
  }

  /** Waits for `ms` milliseconds at most. Every message and every {@link wake} since the last sleep ends the wait. */
  async sleep(ms: number): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wakeSleeper = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wakeSleeper = undefined;
    this.#changed = false;
  }

  wake(): void {
    this.#changed = true;
    this.#wakeSleeper?.();
  }

  /** Lets the thread end. */
  close(): void {
    this.#port.close();
  }

  #onMessage(message: MessageToThread): void {
    switch (message.kind) {
      case "abort":
        this.fail(MigrationError.deserialize(message.error));
        break;
      case "revoke":
        this.#revoked.resolve();
        break;
      case "switch-over":
        this.#switchOver = true;
        break;
      case "converge":
        this.#converge = true;
        break;
      case "run":
      case "begin":
      case "guest-stopped":
      case "devices-saved":
      case "drives-released":
      case "decided":
        this.#awaited.get(message.kind)?.(message);
        this.#awaited.delete(message.kind);
        break;
      case "parameters-changed":
        break;
    }
    this.wake();
  }

  get #reason(): MigrationError {
    return MigrationError.from(this.signal.reason);
  }
}
