import type { AgentControl, AgentEvent } from "./agent-control.ts";

/** Every event that there is. */
export const EVENT_NAMES = Object.keys({
  STOP: true,
  RESUME: true,
  SHUTDOWN: true,
  MIGRATION: true,
  MIGRATION_PASS: true,
  ANNOUNCE: true,
} satisfies Record<AgentEvent["name"], true>);

/** An event without its time: the server stamps it. */
export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Where the events of an agent come from. */
export interface EventSource<Event = QmpEvent> {
  /** Returns a function that ends the subscription. */
  subscribe(listener: (event: Event) => void): () => void;
}

/** The events of an agent as a monitor's clients see them: those of migrations only while the capability `events` is on. */
export function agentEvents(agent: Pick<AgentControl, "subscribe" | "queryCapabilities">): EventSource {
  const wantsMigrationEvents = (): boolean =>
    agent.queryCapabilities().some(({ capability, state }) => capability === "events" && state);
  return {
    subscribe: (listener) =>
      agent.subscribe((event) => {
        const aboutMigration = event.name === "MIGRATION" || event.name === "MIGRATION_PASS";
        if (aboutMigration && !wantsMigrationEvents()) return;
        listener("data" in event ? { event: event.name, data: event.data } : { event: event.name });
      }),
  };
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
