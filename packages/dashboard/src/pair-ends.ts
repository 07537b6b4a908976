import type { GuestView } from "./guest-view.ts";

/** What is looked at to find both ends of a migration. */
export type End = Pick<GuestView, "id" | "migrations" | "target" | "incoming" | "role"> & {
  /** Where it listened last, also if it does so no longer. */
  readonly listenedOn: string | null;
};

/**
 * The other end of each one's last migration, by their ids. Both ends have the same name for a migration once the guest is
 * being handed over; before that the source's target is where the destination listens, or its port is.
 */
export function pairEnds(ends: readonly End[]): ReadonlyMap<string, string> {
  const peers = new Map<string, string>();
  const pair = (source: End, destination: End): void => {
    if (peers.has(source.id) || peers.has(destination.id)) return;
    peers.set(source.id, destination.id);
    peers.set(destination.id, source.id);
  };
  const others = (end: End): readonly End[] =>
    ends.filter((other) => other !== end && other.incoming !== null);
  const ways: readonly ((source: End, other: End) => boolean)[] = [
    (source, other) => other.migrations.some((migration) => source.migrations.includes(migration)),
    (source, other) => source.target !== null && source.target === other.listenedOn,
    (source, other) => samePort(source.target, other.listenedOn),
  ];
  for (const matches of ways) {
    for (const source of ends.filter(({ target }) => target !== null)) {
      const found = others(source).filter((other) => !peers.has(other.id) && matches(source, other));
      if (found.length === 1) pair(source, found[0]!);
    }
  }
  return peers;
}

const PORT = /^(?:tcp|ws|wss):.*:(?<port>\d+)(?:[/?].*)?$/u;

/** The host may have many names. */
function samePort(target: string | null, listenedOn: string | null): boolean {
  const port = PORT.exec(target ?? "")?.groups?.["port"];
  return port !== undefined && port === PORT.exec(listenedOn ?? "")?.groups?.["port"];
}
