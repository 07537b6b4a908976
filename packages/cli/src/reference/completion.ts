import { ERROR_CODES } from "@peregrine/protocol";
import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import { zshCompletion } from "./completion-zsh.ts";
import type { CommandShape, OptionShape, ValueShape } from "./command-shape.ts";

/** What an address may begin with. */
export const SCHEMES = ["tcp:", "unix:", "ws://", "wss://", "file:", "exec:", "fd:"];

/** What a shell is to offer for a value. */
export type Offer =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "guests" | "files" | "directories" | "modules" | "nothing" }
  | { readonly kind: "schemes"; readonly words: readonly string[] };

/** What the scripts of all shells are made of. */
export interface CompletionModel {
  readonly commands: readonly CommandShape[];
  /** The daemons, with the command whose options they have. */
  readonly daemons: Readonly<Record<string, string>>;
  offer(command: CommandShape, value: ValueShape): Offer;
}

/**
 * A script that completes commands, flags, guests of this user, files and error codes. It holds all that it offers but
 * guests and files, which the shell looks up itself: no process is started at a key press.
 */
export function completionScript(root: CommandShape, shell: "bash" | "zsh" | "fish"): string {
  const model: CompletionModel = {
    commands: root.commands,
    daemons: { "source-agent": "run", "dest-agent": "receive" },
    offer: (command, value) => offerOf(root, command, value),
  };
  const make = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[shell];
  return make(model);
}

function offerOf(root: CommandShape, command: CommandShape, value: ValueShape): Offer {
  if (value.choices.length > 0) return { kind: "words", words: value.choices };
  if (command.name === "help") {
    return { kind: "words", words: [...root.commands.map(({ name }) => name), ...Object.keys(ERROR_CODES)] };
  }
  switch (value.kind) {
    case "guest":
      return { kind: "guests" };
    case "file":
      return { kind: "files" };
    case "directory":
      return { kind: "directories" };
    case "module":
      return { kind: "modules" };
    case "uri":
      return { kind: "schemes", words: SCHEMES };
    case "other":
      return { kind: "nothing" };
  }
}

/** The flags of an option, the long one first. */
export function flagsOf({ long, short }: OptionShape): string[] {
  return [long, short].filter((flag) => flag !== undefined);
}

/** Options whose value is the next word. One with a value that may be left out has it joined by `=`. */
export function takingNextWord({ options }: CommandShape): OptionShape[] {
  return options.filter(({ value }) => value?.required);
}
