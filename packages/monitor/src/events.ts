import type { AgentControl, AgentEvent } from "./agent-control.ts";

/** An event without its time: the server stamps it. */
export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface EventSource<Event = QmpEvent> {
  /** Returns a function that ends the subscription. */
  subscribe(listener: (event: Event) => void): () => void;
}

/** The events of an agent as a monitor's clients see them: those of migrations only while the capability `events` is on. */
export function agentEvents(agent: Pick<AgentControl, "subscribe" | "queryCapabilities">): EventSource {
  return {
    subscribe: (listener) =>
      agent.subscribe((event) => {
        const aboutMigration = event.kind === "migration" || event.kind === "migration-pass";
        if (aboutMigration && !agent.queryCapabilities().events) return;
        listener(toQmpEvent(event));
      }),
  };
}

function toQmpEvent(event: AgentEvent): QmpEvent {
  switch (event.kind) {
    case "stop":
      return { event: "STOP" };
    case "resume":
      return { event: "RESUME" };
    case "migration":
      return { event: "MIGRATION", data: { status: event.status } };
    case "migration-pass":
      return { event: "MIGRATION_PASS", data: { pass: event.pass } };
    default:
      return { event: "SHUTDOWN", data: { guest: event.guest, reason: event.reason } };
  }
}

export interface Timestamp {
  readonly seconds: number;
  readonly microseconds: number;
}

/** @param milliseconds since 1970, with a fraction. */
export function toTimestamp(milliseconds: number): Timestamp {
  const microseconds = Math.floor(milliseconds * 1000);
  return { seconds: Math.floor(microseconds / 1e6), microseconds: microseconds % 1e6 };
}
