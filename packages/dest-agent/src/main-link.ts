import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type {
  CarriedClosing,
  CarriedOpening,
  IncomingDrives,
  OpaqueSection,
  OpenIncomingDrives,
  OpenRam,
  RamAccess,
} from "@peregrine/shared-state";
import type { MessagePort } from "node:worker_threads";
import type { MainMessage, ThreadMessage, ThreadQuestion } from "./incoming-messages.ts";
import type { SourceExpectation } from "./incoming-options.ts";
import type { Interruption } from "./interruption.ts";
import type { OpenedRam } from "./guest-blocks.ts";
import type { CarriedTarget, DescribedTarget, DeviceState, LoadTarget } from "./load-target.ts";

type Answer = Extract<MainMessage, { readonly kind: "done" | "ram" | "drives" | "unknown" }>;

/** The machine as the incoming thread sees it: through messages to the thread that holds it. */
export class MainLink implements LoadTarget, DescribedTarget, CarriedTarget {
  readonly #port: MessagePort;
  readonly #interruption: Interruption;
  readonly #prepared = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly #abandoned = Promise.withResolvers<never>();
  readonly #handOver = Promise.withResolvers<boolean>();
  #calledOff = false;
  /** Of the questions that are not answered yet, in their order. */
  readonly #waiting: ((answer: Answer) => void)[] = [];

  /** @param interruption told when the main thread calls the load off. Questions stay unanswered then. */
  constructor(port: MessagePort, interruption: Interruption) {
    this.#port = port;
    this.#interruption = interruption;
    this.#abandoned.promise.catch(() => undefined);
    port.on("message", (message: MainMessage) => {
      this.#receive(message);
    });
  }

  tell(message: ThreadMessage): void {
    this.#port.postMessage(message);
  }

  /** Resolves when the channel is not needed any more. */
  get released(): Promise<void> {
    return this.#released.promise;
  }

  async loadDevices(devices: readonly DeviceState[]): Promise<void> {
    await this.#ask({ kind: "load-devices", devices });
  }

  async openRam(): Promise<OpenedRam> {
    const answer = await this.#ask({ kind: "open-ram" });
    if (answer.kind !== "ram")
      throw new MigrationError("INTERNAL", "'open-ram' was not answered with memory");
    const { access } = answer;
    const { openRam } = (await import(access.module)) as { readonly openRam: OpenRam };
    return { ram: openRam(access.data), access };
  }

  async openDrives(): Promise<IncomingDrives> {
    const answer = await this.#ask({ kind: "open-drives" });
    if (answer.kind !== "drives")
      throw new MigrationError("INTERNAL", "'open-drives' was not answered with drives");
    const { openIncomingDrives } = (await import(answer.access.module)) as {
      readonly openIncomingDrives: OpenIncomingDrives;
    };
    return openIncomingDrives(answer.access.data);
  }

  drivesProgress(percent: number): void {
    this.tell({ kind: "drives-progress", percent });
  }

  prepared(): Promise<void> {
    return this.#prepared.promise;
  }

  async opened(opening: CarriedOpening, ram: RamAccess, source: SourceExpectation): Promise<void> {
    await this.#ask({ kind: "opened", opening, ram, source }, opening.early);
  }

  async closed(closing: CarriedClosing): Promise<void> {
    await this.#ask({ kind: "closed", closing }, closing.late);
  }

  async accept(migration: MigrationId): Promise<void> {
    await this.#ask({ kind: "accept", migration });
  }

  async commit(returnPath: boolean): Promise<MigrationError | undefined> {
    const answer = await Promise.race([this.#ask({ kind: "commit", returnPath }), this.#abandoned.promise]);
    return answer.kind === "unknown" ? MigrationError.deserialize(answer.error) : undefined;
  }

  /** Resolves when it is known whether a source that asks for a hand-over has one. */
  get handOver(): Promise<boolean> {
    return this.#handOver.promise;
  }

  /** Whether the main thread has called the load off. */
  get calledOff(): boolean {
    return this.#calledOff;
  }

  /** Nothing more is told or heard; lets the thread end. */
  close(): void {
    this.#port.close();
  }

  /** @param given sections in the question whose payloads go to the main thread without a copy. */
  #ask(question: ThreadQuestion, given: readonly OpaqueSection[] = []): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#port.postMessage(
        question,
        given.map(({ payload }) => payload.buffer),
      );
    });
  }

  #callOff(error: MigrationError): void {
    this.#calledOff = true;
    this.#abandoned.reject(error);
    this.#interruption.interrupt(error);
  }

  #receive(message: MainMessage): void {
    switch (message.kind) {
      case "done":
      case "ram":
      case "drives":
      case "unknown":
        this.#waiting.shift()?.(message);
        return;
      case "prepared":
        this.#prepared.resolve();
        return;
      case "agree":
        this.#handOver.resolve(message.handOver);
        return;
      case "abort":
        this.#callOff(MigrationError.deserialize(message.error));
        return;
      case "close-channel":
        this.#released.resolve();
        return;
    }
  }
}
