import { MigrationError } from "@peregrine/protocol";
import type { Machine } from "@peregrine/shared-state";
import type { MainMessage } from "./incoming-messages.ts";
import type { SourceExpectation } from "./incoming-options.ts";
import { machineAnswer } from "./machine-answers.ts";
import type { MachineQuestion } from "./machine-answers.ts";

/** Comes to an answer, or to nothing where the thread does not wait for one any more. */
export type AnswerWork = () => MainMessage | undefined | Promise<MainMessage | undefined>;

export interface ThreadAnswersOptions {
  readonly machine: Machine;
  /** Called when the machine's intake was opened. */
  readonly opened: ((source: SourceExpectation) => void) | undefined;
  /** Whether the load goes on. It may have been called off while the question was on its way. */
  readonly isWanted: () => boolean;
  readonly post: (answer: MainMessage) => void;
  /** A question could not be answered, so the load cannot succeed. */
  readonly failed: (error: MigrationError) => void;
}

/** Answers what the incoming thread asks: one question after the other, in their order. */
export class ThreadAnswers {
  readonly #options: ThreadAnswersOptions;
  /** Everything so far. Never rejects. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: ThreadAnswersOptions) {
    this.#options = options;
  }

  /** The machine answers by itself. */
  byMachine(question: MachineQuestion): void {
    const { machine, opened } = this.#options;
    this.inTurn(async () => {
      const answer = await machineAnswer(question, machine);
      if (question.kind === "opened") opened?.(question.source);
      return answer;
    });
    if (question.kind !== "open-ram") return;
    void this.#answer(async () => {
      await machine.prepared();
      return { kind: "prepared" };
    });
  }

  /** Answers a question when those before it are answered. */
  inTurn(work: AnswerWork): void {
    this.#last = this.#last.then(() => this.#answer(work));
  }

  /** Does `work` when every question so far is answered. Errors: those of `work`; they keep nothing from its turn. */
  afterwards(work: () => void | Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Posts what `work` comes to, if it is anything. */
  async #answer(work: AnswerWork): Promise<void> {
    const { isWanted, post, failed } = this.#options;
    if (!isWanted()) return;
    try {
      const answer = await work();
      if (answer !== undefined) post(answer);
    } catch (error) {
      failed(MigrationError.from(error, "LOAD_FAILED"));
    }
  }
}
