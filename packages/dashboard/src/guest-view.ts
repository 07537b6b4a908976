import type { Observation, Outgoing, Settings } from "./observation.ts";

/** One pass of a migration. Sizes are bytes, times milliseconds, rates bytes per second. */
export interface PassView {
  readonly pass: number;
  /** Guest memory to send in it. */
  readonly total: number;
  /** Of the stream; null for the last pass of a migration whose figures are gone. */
  readonly sent: number;
  readonly start: number;
  readonly time: number;
  /** What the guest dirtied when it began; null when that was not known yet. */
  readonly dirtyRate: number | null;
  /** It has not ended. */
  readonly isPresent: boolean;
}

/** What a page shows of a guest. Plain data. */
export interface GuestView {
  readonly id: string;
  /** Where its agent is. */
  readonly place: string;
  /** `lost`: its agent does not answer; what is shown is what it said last. `ended`: its agent is gone. */
  readonly link: "open" | "lost" | "ended";
  /** Why it is lost. */
  readonly fault: string | null;
  readonly name: string;
  readonly pid: number;
  readonly machine: string;
  readonly program: string | null;
  /** Run state, as `query-status` names it. */
  readonly status: string;
  readonly owner: "owner" | "not-owner" | "undecided";
  readonly role: "source" | "destination";
  /** Bytes of guest memory in use. */
  readonly memory: number;
  readonly moved: boolean;
  /** Where a guest is awaited, as a URI that a source can be given; null where none is. */
  readonly listensOn: string | null;
  /** Of the incoming migration; null where no guest was to arrive. */
  readonly incoming: string | null;
  /** Bytes that have come of it, and that come in a second; null where no guest was to arrive. */
  readonly arrival: { readonly received: number; readonly rate: number | null } | null;
  /** Of the present or last outgoing migration. */
  readonly target: string | null;
  readonly error: string | null;
  readonly outgoing: Outgoing | null;
  readonly passes: readonly PassView[];
  /** Names of migrations that both ends have, for pairing them. */
  readonly migrations: readonly string[];
  /** The guest at the other end of the last migration from or to here, if it is shown. */
  readonly peer: string | null;
  readonly settings: Settings | null;
}

/** Passes that are shown: the first, and the last ones. */
const SHOWN_PASSES = 32;

/** The view of a guest of which nothing is known yet. */
export function unknownGuest(id: string, place: string): GuestView {
  return {
    id,
    place,
    link: "lost",
    fault: "connecting",
    name: id,
    pid: 0,
    machine: "",
    program: null,
    status: "unknown",
    owner: "undecided",
    role: "source",
    memory: 0,
    moved: false,
    listensOn: null,
    incoming: null,
    arrival: null,
    target: null,
    error: null,
    outgoing: null,
    passes: [],
    migrations: [],
    peer: null,
    settings: null,
  };
}

/** What is shown after one more look. */
export function viewOf(
  before: GuestView,
  { info, incoming, arriving, outgoing, passes }: Observation,
): GuestView {
  return {
    ...before,
    link: "open",
    fault: null,
    name: info.name ?? before.name,
    pid: info.pid,
    machine: info.machine,
    program: info.program,
    status: info.status,
    owner: info.owner,
    role: info.role,
    memory: info.memory,
    moved: info.moved,
    listensOn: incoming?.status === "setup" ? listeningUri(incoming) : null,
    incoming: incoming === null ? null : (incoming.status ?? "deferred"),
    arrival: arriving === null ? null : { received: arriving.received, rate: arriving.rate },
    target: info.target,
    error: info.error?.message ?? info.migration["error-desc"] ?? incoming?.["error-desc"] ?? null,
    outgoing,
    passes: passViews(passes, outgoing),
    migrations: info.handOvers.map(({ migration }) => migration),
  };
}

/** Where a guest is awaited, or was until its source connected; null where that is not told. */
export function listeningUri(incoming: Observation["incoming"]): string | null {
  const socket = incoming?.["socket-address"]?.[0];
  if (socket === undefined) return null;
  if (socket.type === "unix") return `unix:${socket.path ?? ""}`;
  const host = socket.host ?? "";
  // Nobody can connect to "any address"; the host is this one, as far as anybody knows.
  const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `tcp:${reached.includes(":") ? `[${reached}]` : reached}:${socket.port ?? ""}`;
}

/** A pass ends where the next one begins. */
export function passViews(
  passes: Observation["passes"],
  outgoing: Pick<Outgoing, "elapsed" | "transferred" | "state"> | null,
): readonly PassView[] {
  if (outgoing === null) return [];
  const isOver = ["completed", "failed", "cancelled"].includes(outgoing.state);
  const views = passes.map((record, index) => {
    const next = passes[index + 1];
    const { pass, total, start, dirtyRate, transferredBefore } = record;
    return {
      pass,
      total,
      start,
      sent: Math.max((next?.transferredBefore ?? outgoing.transferred) - transferredBefore, 0),
      time: Math.max((next?.start ?? outgoing.elapsed) - start, 0),
      dirtyRate: dirtyRate > 0 ? dirtyRate : null,
      isPresent: next === undefined && !isOver,
    };
  });
  return views.length <= SHOWN_PASSES ? views : [views[0]!, ...views.slice(1 - SHOWN_PASSES)];
}
