import {
  agreeTo,
  both,
  ByteWriter,
  encodeReturnMessage,
  MigrationError,
  NO_EXTENSIONS,
} from "@peregrine/protocol";
import type { Extensions, MigrationId, ReturnMessage } from "@peregrine/protocol";
import type { Interruption } from "./interruption.ts";

/** Pings that may wait for their answer. Sources send two or three in all. */
const MAX_WAITING_PONGS = 16;

/** A source that listens for it hears something at least this often, milliseconds. */
const ALIVE_PERIOD_MS = 1000;

/** What becomes of answers. */
export type Answers =
  /** `write` keeps the order of its calls, also while one of them is pending. */
  | { readonly kind: "sent"; readonly write: (bytes: Uint8Array) => Promise<void> }
  /** Nobody waits for them any more: what comes was kept in a file. */
  | { readonly kind: "dropped" }
  /** Nothing can go back to a source that may wait for them. `peer` is where the stream comes from. */
  | { readonly kind: "impossible"; readonly peer: string };

/**
 * The messages to the source: answers in their order, and between them that this side lives. None is sent before the source has
 * opened the path.
 */
export class ReturnPath {
  readonly #answers: Answers;
  readonly #interruption: Interruption;
  readonly #supported: Extensions;
  readonly #handOver: Promise<boolean> | undefined;
  #state: "closed" | "open" | "shut" = "closed";
  #waitingPongs = 0;
  #extensions = NO_EXTENSIONS;
  #asksHandOver = false;
  #alive: NodeJS.Timeout | undefined;
  /** Settles with the last answer asked for. */
  #lastAnswer: Promise<void> = Promise.resolve();

  /**
   * @param interruption told when an answer cannot be sent.
   * @param supported what a source can have that asks.
   * @param handOver resolves when it is known whether a hand-over is among that, where somebody else has to be asked first.
   */
  constructor(
    answers: Answers,
    interruption: Interruption,
    supported: Extensions,
    handOver?: Promise<boolean>,
  ) {
    this.#answers = answers;
    this.#interruption = interruption;
    this.#supported = supported;
    this.#handOver = handOver;
  }

  /** What was agreed on with the source; nothing with one that has not asked. */
  get extensions(): Extensions {
    return this.#extensions;
  }

  get isAskedForHandOver(): boolean {
    return this.#asksHandOver;
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
  pong(value: number | (() => Promise<number>), ready: Promise<void> | undefined): void {
    if (this.#answers.kind === "dropped") return;
    if (this.#state !== "open") {
      throw new MigrationError("BAD_STREAM_COMMAND", "Command PING came before OPEN_RETURN_PATH");
    }
    if (this.#waitingPongs >= MAX_WAITING_PONGS) {
      const message = `more than ${MAX_WAITING_PONGS} PING commands came before their answers could be sent`;
      throw new MigrationError("LIMIT_EXCEEDED", message);
    }
    this.#waitingPongs++;
    this.#answer(typeof value === "number" ? { kind: "pong", value } : value, ready);
  }

  /** Answers a source that asks for more than QEMU's protocol. Errors: as of {@link pong}. */
  agree(asked: Extensions): void {
    const agreed = both(asked, this.#supported);
    this.#asksHandOver = agreed.handOver;
    if (agreed.handOver && this.#handOver !== undefined) {
      this.pong(async () => {
        const handOver = await this.#handOver;
        this.#agreedOn({ ...agreed, handOver: handOver === true });
        return agreeTo(this.#extensions);
      }, undefined);
      return;
    }
    this.pong(agreeTo(agreed), undefined);
    this.#agreedOn(agreed);
  }

  #agreedOn(agreed: Extensions): void {
    if (this.#state !== "open") return;
    this.#extensions = agreed;
    if (agreed.alive) this.#alive ??= setInterval(() => this.#sayAlive(), ALIVE_PERIOD_MS);
  }

  /** Everything is loaded, and the source has to decide. Resolves when the kernel has the message. */
  async loaded(migration: MigrationId): Promise<void> {
    if (this.#state === "open") await this.#send({ kind: "loaded", migration });
  }

  /** Nothing more is said. */
  close(): void {
    clearInterval(this.#alive);
  }

  /** Not in turn: an answer may wait for as long as it takes to prepare the machine. */
  #sayAlive(): void {
    if (this.#state !== "open") return;
    this.#send({ kind: "alive" }).catch((error: unknown) => this.#failed(error));
  }

  /**
   * Tells the source that it can switch over, after the answers before it and not before `ready`. Returns at once;
   * does nothing when the path is not open.
   */
  acknowledge(ready: Promise<void> | undefined): void {
    if (this.#state === "open") this.#answer({ kind: "switchover-ack" }, ready);
  }

  #answer(message: ReturnMessage | (() => Promise<number>), ready: Promise<void> | undefined): void {
    this.#lastAnswer = this.#inTurn(this.#lastAnswer, message, ready);
    this.#lastAnswer.catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#interruption.interrupt(MigrationError.from(error));
  }

  async #inTurn(
    before: Promise<void>,
    wanted: ReturnMessage | (() => Promise<number>),
    ready: Promise<void> | undefined,
  ): Promise<void> {
    await before;
    await ready;
    const message: ReturnMessage =
      typeof wanted === "function" ? { kind: "pong", value: await wanted() } : wanted;
    if (this.#state !== "open") return;
    await this.#send(message);
    if (message.kind === "pong") this.#waitingPongs--;
  }

  /** Every answer asked for is sent. */
  async answered(): Promise<void> {
    await this.#lastAnswer;
  }

  /**
   * The last message, once: the source has no guest any more. Resolves when the kernel has it.
   * @returns false, with nothing sent, when the path is not open or was shut before.
   */
  async taken(): Promise<boolean> {
    if (this.#state !== "open") return false;
    this.#state = "shut";
    await this.#send({ kind: "shut", status: 0 });
    return true;
  }

  /** The same, when the guest was not loaded and stays at the source. */
  async refuse({ message }: MigrationError): Promise<boolean> {
    if (this.#state !== "open") return false;
    this.#state = "shut";
    if (this.#extensions.reasons) await this.#send({ kind: "reason", text: message });
    await this.#send({ kind: "shut", status: 1 });
    return true;
  }

  async #send(message: ReturnMessage): Promise<void> {
    const writer = new ByteWriter();
    encodeReturnMessage(writer, message);
    if (this.#answers.kind === "sent") await this.#answers.write(writer.view());
  }
}
