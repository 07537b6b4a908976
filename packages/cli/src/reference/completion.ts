import { ERROR_CODES } from "@peregrine/protocol";
import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import type { CompletionModel, Offer } from "./completion-model.ts";
import { zshCompletion } from "./completion-zsh.ts";
import type { CommandShape, ValueShape } from "./command-shape.ts";

/** What an address may begin with. */
const SCHEMES = ["tcp:", "unix:", "ws://", "wss://", "file:", "exec:", "fd:"];

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
    default:
      return { kind: "nothing" };
  }
}
