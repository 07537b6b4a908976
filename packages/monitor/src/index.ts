export type * from "./agent-control.ts";
