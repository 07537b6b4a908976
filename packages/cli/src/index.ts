export { Agent } from "./agent.ts";
export type { AgentOptions } from "./agent.ts";
export type { GuestMachine } from "./guest-machine.ts";
export { exitStatus } from "./agent-end.ts";
export type { AgentEnd } from "./agent-end.ts";
export { describeProgram, execute } from "./command-line.ts";
export type { ProgramName } from "./command-line.ts";
export type { CommandHandlers } from "./command-options.ts";
export type { CommandShape, OptionShape, ValueKind, ValueShape } from "./reference/command-shape.ts";
