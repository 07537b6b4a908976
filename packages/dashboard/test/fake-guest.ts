import type { GuestLink, KnownGuest } from "../src/guest-link.ts";

/** An OutgoingSnapshot of a migration under way, as `x-peregrine-observe` has it. */
export const SAMPLE = {
  migration: 1,
  state: "active",
  elapsed: 1000,
  pass: 2,
  passTotal: 400_000,
  passBytes: 100_000,
  remaining: 300_000,
  total: 1_000_000,
  transferred: 1_100_000,
  precopyBytes: 1_100_000,
  downtimeBytes: 0,
  multifdBytes: 0,
  normalPages: 240,
  zeroPages: 4,
  xbzrlePages: 0,
  dirtySyncs: 2,
  diskTotal: 0,
  diskTransferred: 0,
  diskRemaining: 0,
  sendRate: 1_000_000,
  retireRate: 1_000_000,
  dirtyRate: 500_000,
  threshold: 30_000,
  downtimeLimit: 30,
  bandwidthLimit: 0,
  switchoverBandwidth: 0,
  throttle: 0,
  maxThrottle: 99,
  xbzrleMissRate: 0,
  xbzrleCacheSize: 67_108_864,
  xbzrle: false,
  multifd: false,
  mappedRam: false,
  autoConverge: false,
  guestRuns: true,
  canThrottle: true,
  arriving: false,
  stopped: false,
  downtime: 0,
  direction: "outgoing",
  fraction: 0.6,
  passDone: 100_000,
  passFraction: 0.25,
  passStart: 900,
  predictedDowntime: 400,
  leastDowntime: 400,
  leastLeft: 400_000,
  leastPass: 2,
  stalledPasses: 0,
  doneBefore: 1_000_000,
  sentAt: 1000,
  verdict: { kind: "converging", timeLeft: 500, text: "converging, less than a second left" },
};

/** What an agent says of itself, with `info` and the rest changed. */
export function observation(
  info: Record<string, unknown> = {},
  rest: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    info: {
      name: "web",
      pid: 4711,
      machine: "wasm-1",
      program: "/guests/web.wasm",
      status: "running",
      role: "source",
      owner: "owner",
      memory: 1_000_000,
      migration: {},
      target: null,
      copied: false,
      moved: false,
      handOvers: [],
      error: null,
      ...info,
    },
    incoming: null,
    outgoing: null,
    arriving: null,
    passes: [],
    memory: null,
    ...rest,
  };
}

/** A guest whose agent answers what it is told to. */
export class FakeGuest implements KnownGuest {
  readonly id: string;
  readonly place = "this host";
  readonly calls: (readonly [string, unknown])[] = [];
  /** What it says of itself. An error is thrown. */
  answer: unknown = observation();
  /** What commands are refused with. */
  refusal: Error | undefined;
  settings: Record<string, unknown> = { "max-bandwidth": 33_554_432, "downtime-limit": 30 };
  isGone = false;
  /** Commands are answered when it resolves. */
  held: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<(event: unknown) => void>();

  constructor(id = "web") {
    this.id = id;
  }

  /** Something has happened. */
  emit(): void {
    for (const listener of this.#listeners) listener({});
  }

  open(): Promise<GuestLink> {
    if (this.isGone) return Promise.reject(new Error("nobody listens"));
    return Promise.resolve({
      execute: async (command, args) => {
        if (!command.includes("quer") && command !== "x-peregrine-observe") await this.held;
        return this.#execute(command, args);
      },
      events: {
        subscribe: (listener) => {
          this.#listeners.add(listener);
          return () => void this.#listeners.delete(listener);
        },
      },
      closed: new Promise<void>(() => {}),
      close: () => Promise.resolve(),
    });
  }

  #execute(command: string, args: unknown): unknown {
    if (this.isGone) throw new Error("the agent ended");
    if (command === "query-migrate-parameters") return this.settings;
    if (command === "query-migrate-capabilities") return [{ capability: "auto-converge", state: true }];
    if (command === "x-peregrine-observe") {
      const { cells } = args as { cells: number };
      const { memory, ...rest } = this.answer as { memory: unknown };
      return { ...rest, memory: cells === 0 ? null : memory };
    }
    this.calls.push([command, args]);
    if (this.refusal !== undefined) throw this.refusal;
    return {};
  }
}
