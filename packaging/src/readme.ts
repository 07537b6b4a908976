import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A program in a README: for Node, or with the word `test` for vitest, or commands for a shell. */
export interface Example {
  readonly kind: "program" | "test" | "commands";
  readonly text: string;
}

const KINDS = { ts: "program", "ts test": "test", sh: "commands" } as const;

/** The examples in the README.md of `directory`, in their order. */
export function examplesOf(directory: string): readonly Example[] {
  const text = readFileSync(join(directory, "README.md"), "utf8");
  return Array.from(text.matchAll(/^```(ts|ts test|sh)\n([\s\S]*?)^```$/gmu), ([, kind, body = ""]) => ({
    kind: KINDS[kind as keyof typeof KINDS],
    text: body,
  }));
}
