export { Agent } from "./agent.ts";
export type { AgentOptions, GuestMachine } from "./agent.ts";
export { exitStatus } from "./agent-end.ts";
export type { AgentEnd } from "./agent-end.ts";
export type { AgentReport } from "./agent-report.ts";
