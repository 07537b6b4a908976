import { expect } from "vitest";
import { execute } from "../command-line.ts";
import type { ProgramName } from "../command-line.ts";
import type { CommandHandlers } from "../command-options.ts";

/** What a command line came to. */
export interface Call {
  readonly command: string;
  readonly args: readonly unknown[];
}

/** Carries out nothing, and remembers what it was asked for. */
export function recorder(): { readonly calls: Call[]; readonly handlers: CommandHandlers } {
  const calls: Call[] = [];
  const record =
    (command: string) =>
    (...args: readonly unknown[]): Promise<number> => {
      calls.push({ command, args });
      return Promise.resolve(7);
    };
  const names = [
    "run",
    "receive",
    "relay",
    "migrate",
    "checkpoint",
    "inspect",
    "cancel",
    "info",
    "list",
    "monitor",
    "dashboard",
    "stop",
    "cont",
    "quit",
  ] as const;
  const handlers = Object.fromEntries(
    names.map((name) => [name, record(name)]),
  ) as unknown as CommandHandlers;
  return { calls, handlers };
}

/** The one command that a command line stands for. */
export async function parsed(args: readonly string[], program: ProgramName = "peregrine"): Promise<Call> {
  const { calls, handlers } = recorder();
  expect(await execute(program, args, handlers)).toBe(7);
  expect(calls).toHaveLength(1);
  return calls[0]!;
}
