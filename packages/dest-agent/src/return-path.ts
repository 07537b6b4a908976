import { ByteWriter, encodeReturnMessage, MigrationError } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import type { Interruption } from "./interruption.ts";

/** Pings that may wait for their answer. Sources send two or three in all. */
const MAX_WAITING_PONGS = 16;

/** What becomes of answers. */
export type Answers =
  | { readonly kind: "sent"; readonly write: (bytes: Uint8Array) => Promise<void> }
  /** Nobody waits for them any more: what comes was kept in a file. */
  | { readonly kind: "dropped" }
  /** Nothing can go back to a source that may wait for them. `peer` is where the stream comes from. */
  | { readonly kind: "impossible"; readonly peer: string };

/** The messages to the source, in order. None is sent before the source has opened the path. */
export class ReturnPath {
  readonly #answers: Answers;
  readonly #interruption: Interruption;
  #state: "closed" | "open" | "shut" = "closed";
  #waitingPongs = 0;
  /** Settles with the last answer asked for. */
  #lastAnswer: Promise<void> = Promise.resolve();

  /** @param interruption told when an answer cannot be sent. */
  constructor(answers: Answers, interruption: Interruption) {
    this.#answers = answers;
    this.#interruption = interruption;
  }

  /** Whether the source waits for {@link shut}. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /**
   * Stays closed where answers are dropped. Errors: BAD_STREAM_COMMAND the second time, and where no answer is possible:
   * a source that waits for one keeps its guest, which then must not start here.
   */
  open(): void {
    if (this.#answers.kind === "dropped") return;
    if (this.#answers.kind === "impossible") {
      throw new MigrationError(
        "BAD_STREAM_COMMAND",
        `The source wants to be answered, and nothing can go back through '${this.#answers.peer}': switch its capability return-path off`,
      );
    }
    if (this.#state !== "closed") {
      throw new MigrationError("BAD_STREAM_COMMAND", "Command OPEN_RETURN_PATH came twice");
    }
    this.#state = "open";
  }

  /**
   * Answers a ping, after the answers before it and not before `ready`. Returns at once.
   * Errors: BAD_STREAM_COMMAND when the path is not open, LIMIT_EXCEEDED when too many answers wait.
   */
  pong(value: number, ready: Promise<void> | undefined): void {
    if (this.#answers.kind === "dropped") return;
    if (this.#state !== "open") {
      throw new MigrationError("BAD_STREAM_COMMAND", "Command PING came before OPEN_RETURN_PATH");
    }
    if (this.#waitingPongs >= MAX_WAITING_PONGS) {
      const message = `more than ${MAX_WAITING_PONGS} PING commands came before their answers could be sent`;
      throw new MigrationError("LIMIT_EXCEEDED", message);
    }
    this.#waitingPongs++;
    this.#answer({ kind: "pong", value }, ready);
  }

  /**
   * Tells the source that it can switch over, after the answers before it and not before `ready`. Returns at once;
   * does nothing when the path is not open.
   */
  acknowledge(ready: Promise<void> | undefined): void {
    if (this.#state === "open") this.#answer({ kind: "switchover-ack" }, ready);
  }

  #answer(message: ReturnMessage, ready: Promise<void> | undefined): void {
    this.#lastAnswer = this.#inTurn(this.#lastAnswer, message, ready);
    this.#lastAnswer.catch((error: unknown) => {
      this.#interruption.interrupt(MigrationError.from(error));
    });
  }

  async #inTurn(
    before: Promise<void>,
    message: ReturnMessage,
    ready: Promise<void> | undefined,
  ): Promise<void> {
    await before;
    await ready;
    if (this.#state !== "open") return;
    await this.#send(message);
    if (message.kind === "pong") this.#waitingPongs--;
  }

  /** Every answer asked for is sent. */
  async answered(): Promise<void> {
    await this.#lastAnswer;
  }

  /**
   * The last message, once: 0 when everything is loaded, 1 when it is not. Resolves when the kernel
   * has it. @returns false, with nothing sent, when the path is not open or was shut before.
   */
  async shut(status: 0 | 1): Promise<boolean> {
    if (this.#state !== "open") return false;
    this.#state = "shut";
    await this.#send({ kind: "shut", status });
    return true;
  }

  async #send(message: ReturnMessage): Promise<void> {
    const writer = new ByteWriter();
    encodeReturnMessage(writer, message);
    if (this.#answers.kind === "sent") await this.#answers.write(writer.view());
  }
}
