export { Agent } from "./agent.ts";
export type { AgentOptions } from "./agent.ts";
export type { GuestMachine } from "./guest-machine.ts";
export { exitStatus } from "./agent-end.ts";
export type { AgentEnd } from "./agent-end.ts";
export type { AgentReport } from "./agent-report.ts";
