import type { Machine } from "@peregrine/shared-state";
import type { MainMessage, ThreadQuestion } from "./incoming-messages.ts";

/** A question of the incoming thread that the machine answers by itself. */
export type MachineQuestion = Extract<
  ThreadQuestion,
  { readonly kind: "load-devices" | "open-ram" | "open-drives" | "opened" | "closed" }
>;

/** Carries out what the thread asks for. Errors: those of the machine. */
export async function machineAnswer(question: MachineQuestion, machine: Machine): Promise<MainMessage> {
  switch (question.kind) {
    case "load-devices":
      for (const { name, instance, value } of question.devices)
        await machine.devices.load(name, instance, value);
      return { kind: "done" };
    case "open-ram":
      return { kind: "ram", access: machine.ram() };
    case "open-drives":
      // Asked for a machine that has some.
      return { kind: "drives", access: machine.drives!.incoming() };
    case "opened":
      machine.intake?.opened(question.opening, question.ram);
      return { kind: "done" };
    default:
      question satisfies { readonly kind: "closed" };
      machine.intake?.closed(question.closing);
      return { kind: "done" };
  }
}
