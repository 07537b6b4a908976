import type { CommandShape, OptionShape, ValueShape } from "./command-shape.ts";

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
  readonly offer: (command: CommandShape, value: ValueShape) => Offer;
}

/** The flags of an option, the long one first. */
export function flagsOf({ long, short }: OptionShape): string[] {
  return [long, short].filter((flag) => flag !== undefined);
}

/** Options whose value is the next word. One with a value that may be left out has it joined by `=`. */
export function takingNextWord({ options }: CommandShape): OptionShape[] {
  return options.filter(({ value }) => value?.required);
}
