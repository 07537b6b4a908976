import type { Exchange, Recording } from "./qmp-script.ts";
import { OWN_EVENTS } from "./qmp-differences.ts";
import type { Answer } from "./qmp-wire.ts";

/** One way in which two monitors answered differently. */
export interface Difference {
  /** What was asked; for events, the part of the session. */
  readonly asked: string;
  /** What differs, such as `return.ram.mbps` or `error.desc`. */
  readonly at: string;
  /** What QEMU said there, and what we did. */
  readonly theirs: unknown;
  readonly ours: unknown;
}

/** Texts for people, of which only the names in front of a colon are compared. */
const NAMES_ONLY = /"info (?:migrate|migrate_parameters|migrate_capabilities)"/;

type Events = Recording["episodes"][number]["events"];

/** Compares two recordings of the session: keys, types, classes and texts of errors, events. */
export function compare(theirs: Recording, ours: Recording): Difference[] {
  return [
    ...compareValues("greeting", "", theirs.greeting, ours.greeting),
    ...theirs.exchanges.flatMap((exchange, n) => compareExchanges(exchange, ours.exchanges[n]!)),
    ...theirs.episodes.flatMap(({ name, events }, n) =>
      compareEvents(name, events, ours.episodes[n]?.events ?? []),
    ),
  ];
}

function compareExchanges({ asked, answer: theirs }: Exchange, { answer: ours }: Exchange): Difference[] {
  const differ = (at: string, their: unknown, our: unknown): Difference[] => [
    { asked, at, theirs: their, ours: our },
  ];
  if (JSON.stringify(theirs.id) !== JSON.stringify(ours.id)) return differ("id", theirs.id, ours.id);
  if (theirs.error !== undefined || ours.error !== undefined) {
    if (theirs.error?.class !== ours.error?.class) return differ("", short(theirs), short(ours));
    if (theirs.error?.desc === ours.error?.desc) return [];
    return differ("error.desc", theirs.error?.desc, ours.error?.desc);
  }
  if (typeof theirs.return !== "string" || typeof ours.return !== "string")
    return compareValues(asked, "return", theirs.return, ours.return);
  if (NAMES_ONLY.test(asked)) return compareLines(asked, theirs.return, ours.return);
  return theirs.return === ours.return ? [] : differ("text", theirs.return, ours.return);
}

/** Compares names, units and their order: the values are of different guests. */
function compareLines(asked: string, theirs: string, ours: string): Difference[] {
  const [their, our] = [theirs, ours].map((text) =>
    text.split("\r\n").map((line) => line.replace(/: .*?(?<unit> [a-z/]+)?$/, ":$<unit>")),
  ) as [string[], string[]];
  const common = (of: readonly string[], other: readonly string[]): string =>
    of.filter((line) => other.includes(line)).join();
  return [
    ...their.filter((line) => !our.includes(line)).map((at) => ({ asked, at, theirs: at, ours: undefined })),
    ...our.filter((line) => !their.includes(line)).map((at) => ({ asked, at, theirs: undefined, ours: at })),
    ...(common(their, our) === common(our, their) ? [] : [{ asked, at: "order", theirs: their, ours: our }]),
  ];
}

function short({ error }: Answer): string {
  return error === undefined ? "return" : `${error.class}: ${error.desc}`;
}

/** Compares keys and types, and the values of states. */
function compareValues(asked: string, at: string, theirs: unknown, ours: unknown): Difference[] {
  const [their, our] = [typeOf(theirs), typeOf(ours)];
  if (their !== our) return [{ asked, at, theirs: their, ours: our }];
  if (their === "array") return compareArrays(asked, at, theirs as unknown[], ours as unknown[]);
  if (their === "object") return compareObjects(asked, at, theirs as object, ours as object);
  const isState = /\.(?:status|running)$/.test(at);
  return isState && theirs !== ours ? [{ asked, at, theirs, ours }] : [];
}

function compareObjects(asked: string, at: string, theirs: object, ours: object): Difference[] {
  const keys = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
  return [...keys].flatMap((key) => {
    const member = (of: object): unknown => (of as Readonly<Record<string, unknown>>)[key];
    return compareValues(asked, at === "" ? key : `${at}.${key}`, member(theirs), member(ours));
  });
}

/** Arrays of the same kind of thing: named things by their names, others by the first. */
function compareArrays(
  asked: string,
  at: string,
  theirs: readonly unknown[],
  ours: readonly unknown[],
): Difference[] {
  if (theirs.length === 0 && ours.length === 0) return [];
  const [their, our] = [byName(theirs), byName(ours)];
  if (their === undefined || our === undefined) {
    return compareValues(asked, `${at}[]`, theirs[0], ours[0]);
  }
  return compareObjects(asked, at, their, our);
}

function byName(values: readonly unknown[]): object | undefined {
  const named = values as readonly { readonly name?: string; readonly capability?: string }[];
  const names = named.map((one) => one?.name ?? one?.capability);
  if (names.some((name) => name === undefined)) return undefined;
  return Object.fromEntries(named.map((one, n) => [names[n], one]));
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/**
 * The events of a part of the session, in their order. How many passes there are is up to the guest, so of those only
 * what one looks like is compared.
 */
function compareEvents(asked: string, theirs: Events, ours: Events): Difference[] {
  const [their, our] = [theirs, ours].map((events) =>
    events
      .filter(({ event }) => event !== "MIGRATION_PASS" && !OWN_EVENTS.has(event))
      .map((event) => JSON.stringify(event)),
  );
  const [theirPass, ourPass] = [theirs, ours].map((events) =>
    events.find(({ event }) => event === "MIGRATION_PASS"),
  );
  return [
    ...(their!.join() === our!.join() ? [] : [{ asked, at: "events", theirs: their, ours: our }]),
    ...compareValues(asked, "MIGRATION_PASS", theirPass, ourPass),
  ];
}
