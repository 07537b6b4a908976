import { describe, expect, test } from "vitest";
import { advise } from "./advice.ts";
import type { GiverKnowledge, TakerKnowledge } from "./advice.ts";
import { GIVER_OFFERS, giverIsInDoubt, stepGiver } from "./giver.ts";
import type { Giver, GiverEffect, GiverEvent } from "./giver.ts";
import type { RecordedOwnership } from "./ownership-record.ts";
import { PASSER_LOADING, stepPasser } from "./passer.ts";
import type { Passer, PasserEffect, PasserEvent } from "./passer.ts";
import { stepTaker, takerIsInDoubt, TAKER_LOADING } from "./taker.ts";
import type { Taker, TakerEffect, TakerEvent } from "./taker.ts";

/**
 * The state machines as the agents run them, and everything that can happen around them: each message arrives or is
 * lost with its link, each record reaches the disk or does not, each process dies, each side is called off; in every
 * order. Every state of the whole that can be reached is looked at; with one link, and with a relay between two; with a
 * taker whose guest is lost with its process, and with one that keeps on its disk what it has loaded.
 */
interface World {
  readonly giver: Side<Giver, GiverEffect>;
  readonly taker: Side<Taker, TakerEffect>;
  readonly relay: Relay | undefined;
  /** Whether the taker keeps on its disk what it has loaded, and takes it from there when it is started again. */
  readonly keeps: boolean;
  /** The giver is at the first one, the taker at the last one. */
  readonly links: readonly [Link, ...Link[]];
  /** Whether the guest has gone on at the giver after it stood still. */
  readonly wentOn: boolean;
  /** Whether an operator has decided. */
  readonly resolved: boolean;
}

interface Link {
  readonly up: boolean;
  readonly toTaker: readonly ("end" | "give" | "keep")[];
  readonly toGiver: readonly ("loaded" | "taken" | "refused")[];
}

/** It writes nothing to its disk, and never runs the guest. */
interface Relay {
  readonly state: Passer;
  readonly effects: readonly PasserEffect[];
  readonly alive: boolean;
  readonly knowsSourceLost: boolean;
  readonly knowsDestinationLost: boolean;
  readonly calledOff: boolean;
}

interface Side<State, Effect> {
  readonly state: State;
  /** What is still to be done. The first is under way. */
  readonly effects: readonly Effect[];
  readonly alive: boolean;
  readonly runs: boolean;
  /** What is on the disk. */
  readonly record: RecordedOwnership;
  /** Whether that was written about this migration. */
  readonly current: boolean;
  readonly knowsLinkLost: boolean;
  readonly calledOff: boolean;
}

const DIRECT: World = {
  giver: {
    state: GIVER_OFFERS,
    effects: [],
    alive: true,
    runs: false,
    record: "owner",
    current: false,
    knowsLinkLost: false,
    calledOff: false,
  },
  taker: {
    state: TAKER_LOADING,
    effects: [],
    alive: true,
    runs: false,
    record: "receiving",
    current: false,
    knowsLinkLost: false,
    calledOff: false,
  },
  relay: undefined,
  keeps: false,
  links: [{ up: true, toTaker: ["end"], toGiver: [] }],
  wentOn: false,
  resolved: false,
};

const RELAYED: World = {
  ...DIRECT,
  relay: {
    state: PASSER_LOADING,
    effects: [],
    alive: true,
    knowsSourceLost: false,
    knowsDestinationLost: false,
    calledOff: false,
  },
  links: [...DIRECT.links, { up: true, toTaker: [], toGiver: [] }],
};

const keeping = (world: World): World => ({ ...world, keeps: true });

/** The links as numbers of {@link World.links}. */
const FIRST = 0;
const lastOf = ({ links }: World): number => links.length - 1;

function withLink(world: World, which: number, change: Partial<Link>): World {
  const links = world.links.map((link, index) => (index === which ? { ...link, ...change } : link));
  return { ...world, links: links as unknown as World["links"] };
}

/** What is said on a link that is down goes nowhere. */
function sent(
  world: World,
  which: number,
  message: Link["toTaker"][number] | Link["toGiver"][number],
): World {
  const { up, toTaker, toGiver } = world.links[which]!;
  if (!up) return world;
  return message === "end" || message === "give" || message === "keep"
    ? withLink(world, which, { toTaker: [...toTaker, message] })
    : withLink(world, which, { toGiver: [...toGiver, message] });
}

function giverHears(world: World, event: GiverEvent): World {
  const [state, effects] = stepGiver(world.giver.state, event);
  return { ...world, giver: { ...world.giver, state, effects: [...world.giver.effects, ...effects] } };
}

function takerHears(world: World, event: TakerEvent): World {
  const [state, effects] = stepTaker(world.taker.state, event);
  return { ...world, taker: { ...world.taker, state, effects: [...world.taker.effects, ...effects] } };
}

function relayHears(world: World, event: PasserEvent): World {
  const relay = world.relay!;
  const [state, effects] = stepPasser(relay.state, event);
  return { ...world, relay: { ...relay, state, effects: [...relay.effects, ...effects] } };
}

/** Every world that can come next. */
function* next(world: World): Generator<World> {
  yield* effectsOfGiver(world);
  yield* effectsOfTaker(world);
  yield* effectsOfRelay(world);
  yield* messages(world);
  yield* messagesOfRelay(world);
  yield* accidents(world);
  yield* takerAgain(world);
  yield* operators(world);
}

function* effectsOfGiver(world: World): Generator<World> {
  const { giver } = world;
  const [effect, ...rest] = giver.effects;
  if (effect === undefined || !giver.alive) return;
  const done: World = { ...world, giver: { ...giver, effects: rest } };
  const recorded = (record: RecordedOwnership): World => ({
    ...done,
    giver: { ...done.giver, record, current: true },
  });
  switch (effect) {
    case "record-given":
      yield giverHears(recorded("given"), "recorded");
      // A write that has failed may have reached the disk.
      yield giverHears(recorded("given"), "not-recorded");
      yield giverHears(done, "not-recorded");
      return;
    case "record-owner":
      yield recorded("owner");
      return;
    case "record-gone":
      yield recorded("gone");
      yield done;
      return;
    case "send-give":
    case "send-keep": {
      yield sent(done, FIRST, effect === "send-give" ? "give" : "keep");
      return;
    }
    case "go-on":
      yield { ...done, wentOn: true, giver: { ...done.giver, runs: true } };
      return;
    case "report":
      yield done;
      return;
  }
}

function* effectsOfTaker(world: World): Generator<World> {
  const { taker } = world;
  const [effect, ...rest] = taker.effects;
  if (effect === undefined || !taker.alive) return;
  const done: World = { ...world, taker: { ...taker, effects: rest } };
  const recorded = (record: RecordedOwnership): World => ({
    ...done,
    taker: { ...done.taker, record, current: true },
  });
  const last = lastOf(world);
  switch (effect) {
    case "record-owner":
      yield takerHears(recorded("owner"), "recorded");
      yield takerHears(recorded("owner"), "not-recorded");
      yield takerHears(done, "not-recorded");
      return;
    case "record-receiving":
      yield recorded("receiving");
      return;
    case "send-loaded":
      yield sent(done, last, "loaded");
      return;
    case "send-taken":
      yield sent(done, last, "taken");
      return;
    case "send-refused":
      yield sent(done, last, "refused");
      return;
    case "start":
      yield { ...done, taker: { ...done.taker, runs: true } };
      return;
    case "discard":
    case "report":
      yield done;
      return;
  }
}

function* effectsOfRelay(world: World): Generator<World> {
  const { relay } = world;
  const [effect, ...rest] = relay?.effects ?? [];
  if (relay === undefined || effect === undefined || !relay.alive) return;
  const done: World = { ...world, relay: { ...relay, effects: rest } };
  const last = lastOf(world);
  switch (effect) {
    case "pass-loaded":
      yield sent(done, FIRST, "loaded");
      return;
    case "pass-taken":
      yield sent(done, FIRST, "taken");
      return;
    case "pass-refused":
      yield sent(done, FIRST, "refused");
      return;
    case "pass-give":
      yield sent(done, last, "give");
      return;
    case "pass-keep":
      yield sent(done, last, "keep");
      return;
    case "drop-source":
      yield withLink(done, FIRST, { up: false });
      return;
    case "drop-destination":
      yield withLink(done, last, { up: false });
      return;
  }
}

function* messages(world: World): Generator<World> {
  const { giver, taker } = world;
  const last = lastOf(world);
  const [first, end] = [world.links[FIRST], world.links[last]!];
  const [forTaker, ...laterForTaker] = end.toTaker;
  if (taker.alive && taker.effects.length === 0 && forTaker !== undefined) {
    const read = withLink(world, last, { toTaker: laterForTaker });
    yield takerHears(read, forTaker === "end" ? "complete" : forTaker);
  }
  const [forGiver, ...laterForGiver] = first.toGiver;
  if (giver.alive && forGiver !== undefined) {
    yield giverHears(withLink(world, FIRST, { toGiver: laterForGiver }), forGiver);
  }
  if (!first.up && giver.alive && forGiver === undefined && !giver.knowsLinkLost) {
    yield giverHears({ ...world, giver: { ...giver, knowsLinkLost: true } }, "link-lost");
  }
  if (!end.up && taker.alive && forTaker === undefined && !taker.knowsLinkLost) {
    yield takerHears({ ...world, taker: { ...taker, knowsLinkLost: true } }, "link-lost");
  }
}

/** What comes to a relay, from either side. It does what follows from one thing before it looks at the next. */
function* messagesOfRelay(world: World): Generator<World> {
  const { relay } = world;
  if (relay === undefined || !relay.alive || relay.effects.length > 0) return;
  const last = lastOf(world);
  const [first, end] = [world.links[FIRST], world.links[last]!];
  const [fromSource, ...laterFromSource] = first.toTaker;
  if (fromSource !== undefined) {
    const read = withLink(world, FIRST, { toTaker: laterFromSource });
    // The stream itself is sent on while it comes.
    yield fromSource === "end" ? sent(read, last, "end") : relayHears(read, fromSource);
  } else if (!first.up && !relay.knowsSourceLost) {
    yield relayHears({ ...world, relay: { ...relay, knowsSourceLost: true } }, "source-lost");
  }
  const [fromDestination, ...laterFromDestination] = end.toGiver;
  if (fromDestination !== undefined) {
    yield relayHears(withLink(world, last, { toGiver: laterFromDestination }), fromDestination);
  } else if (!end.up && !relay.knowsDestinationLost) {
    yield relayHears({ ...world, relay: { ...relay, knowsDestinationLost: true } }, "destination-lost");
  }
}

function* accidents(world: World): Generator<World> {
  const { giver, taker, relay } = world;
  const last = lastOf(world);
  for (const [which, { up, toTaker, toGiver }] of world.links.entries()) {
    if (!up) continue;
    // What is on the way still arrives, up to any point.
    for (let a = 0; a <= toTaker.length; a++) {
      for (let b = 0; b <= toGiver.length; b++) {
        yield withLink(world, which, {
          up: false,
          toTaker: toTaker.slice(0, a),
          toGiver: toGiver.slice(0, b),
        });
      }
    }
  }
  if (giver.alive) {
    const dead = withLink(world, FIRST, { up: false, toGiver: [] });
    yield { ...dead, giver: { ...giver, alive: false, runs: false } };
    if (giver.effects[0] === "record-given") {
      const record = { record: "given", current: true } as const;
      yield { ...dead, giver: { ...giver, ...record, alive: false, runs: false } };
    }
    if (!giver.calledOff) yield giverHears({ ...world, giver: { ...giver, calledOff: true } }, "called-off");
  }
  if (taker.alive) {
    const dead = withLink(world, last, { up: false, toTaker: [] });
    yield { ...dead, taker: { ...taker, alive: false, runs: false } };
    if (taker.effects[0] === "record-owner") {
      yield { ...dead, taker: { ...taker, record: "owner", alive: false, runs: false } };
    }
    // Nobody calls off a guest that may be the only copy but an operator.
    if (!taker.calledOff && !takerIsInDoubt(taker.state)) {
      yield takerHears({ ...world, taker: { ...taker, calledOff: true } }, "called-off");
    }
  }
  if (relay?.alive === true) {
    const dead = withLink(withLink(world, FIRST, { up: false, toTaker: [] }), last, {
      up: false,
      toGiver: [],
    });
    // One that is started again knows nothing, and waits for another guest.
    yield { ...dead, relay: { ...relay, alive: false } };
    if (!relay.calledOff) yield relayHears({ ...world, relay: { ...relay, calledOff: true } }, "called-off");
  }
}

/** A taker that is started again has the guest that it has kept, if that is its own by its record. */
function* takerAgain(world: World): Generator<World> {
  const { taker, keeps } = world;
  if (taker.alive || !keeps || !taker.current || taker.record !== "owner" || taker.runs) return;
  yield { ...world, taker: { ...taker, runs: true } };
}

/** Whether the guest is all that an ended taker has left, and its record does not say whose it is. */
function isKeptInDoubt({ taker, keeps }: World): boolean {
  return keeps && !taker.alive && taker.current && taker.record === "receiving";
}

/** An operator who asks both sides and does what is advised. */
function* operators(world: World): Generator<World> {
  const { giver, taker } = world;
  const inDoubt =
    (giver.alive && giverIsInDoubt(giver.state)) ||
    (taker.alive && takerIsInDoubt(taker.state)) ||
    isKeptInDoubt(world);
  if (!inDoubt || !isQuiet(world)) return;
  const decided: World = { ...world, resolved: true };
  switch (advise(whatGiverKnows(world), whatTakerKnows(world))) {
    case "at the giver":
      yield resolveGiver(resolveTaker(decided, "gone"), "owner");
      return;
    case "at the taker":
      yield resolveTaker(resolveGiver(decided, "gone"), "owner");
      return;
    case "nowhere":
      // What the giver's record says stays true.
      yield resolveTaker(decided, "gone");
      return;
    case "wait":
  }
}

function resolveGiver(world: World, as: "owner" | "gone"): World {
  if (world.giver.alive) return giverHears(world, `resolved-${as}`);
  return { ...world, giver: { ...world.giver, record: as, current: true } };
}

function resolveTaker(world: World, as: "owner" | "gone"): World {
  if (world.taker.alive) return takerHears(world, `resolved-${as}`);
  return isKeptInDoubt(world) ? { ...world, taker: { ...world.taker, record: as } } : world;
}

function whatGiverKnows({ giver }: World): GiverKnowledge {
  if (!giver.alive) {
    if (giver.record === "owner") return giver.current ? "ended-as-keeper" : "ended-as-owner";
    return giver.record === "given" ? "ended-as-given" : "gone";
  }
  switch (giver.state.kind) {
    case "deciding":
      return "unknown";
    case "offers":
    case "kept":
      return "owner";
    default:
      return giver.state.kind;
  }
}

function whatTakerKnows(world: World): TakerKnowledge {
  const { taker } = world;
  if (!taker.alive) {
    if (isKeptInDoubt(world)) return "ended-as-loaded";
    if (!taker.current) return "unknown";
    return taker.record === "owner" ? "owner" : "not-owner";
  }
  switch (taker.state.kind) {
    case "owns":
      return "owner";
    case "loaded":
      return "loaded";
    case "gave-up":
      return "not-owner";
    default:
      return "unknown";
  }
}

/** Whether nothing more happens by itself. */
function isQuiet({ giver, taker, relay, links }: World): boolean {
  const [first, last] = [links[0], links.at(-1)!];
  if (links.some(({ up }) => up)) return false;
  const giverDone =
    !giver.alive || (giver.effects.length === 0 && giver.knowsLinkLost && first.toGiver.length === 0);
  const takerDone =
    !taker.alive || (taker.effects.length === 0 && taker.knowsLinkLost && last.toTaker.length === 0);
  const relayDone =
    relay?.alive !== true ||
    (relay.effects.length === 0 && relay.knowsSourceLost && relay.knowsDestinationLost);
  return giverDone && takerDone && relayDone;
}

type Reached = ReadonlyMap<string, { readonly world: World; readonly before: string | undefined }>;

/** Every world that can be reached, each with the one before it on a shortest way. */
function explore(start: World): Reached {
  const seen = new Map([[JSON.stringify(start), { world: start, before: undefined as string | undefined }]]);
  // A map is walked through in the order in which it grows.
  for (const [before, { world }] of seen) {
    for (const one of next(world)) {
      const key = JSON.stringify(one);
      if (!seen.has(key)) seen.set(key, { world: one, before });
    }
  }
  return seen;
}

/** How the first of `worlds` comes about, a line for each step; nothing when there is none. */
function storyIn(reached: Reached, worlds: readonly World[]): string[] {
  const [first] = worlds;
  const lines: string[] = [];
  for (let key = first && JSON.stringify(first); key !== undefined; key = reached.get(key)?.before)
    lines.unshift(key);
  return lines;
}

describe.each([
  ["two agents", DIRECT],
  ["two agents and a relay", RELAYED],
  ["two agents of which one keeps what it has loaded", keeping(DIRECT)],
  ["two agents of which one keeps what it has loaded, and a relay", keeping(RELAYED)],
])("over all losses, crashes and orders of %s", (_, start) => {
  const reached = explore(start);
  const worlds = [...reached.values()].map(({ world }) => world);
  const story = (found: readonly World[]): string[] => storyIn(reached, found);
  const settled = worlds.filter(
    (world) =>
      isQuiet(world) &&
      !(world.giver.alive && giverIsInDoubt(world.giver.state)) &&
      !(world.taker.alive && takerIsInDoubt(world.taker.state)),
  );
  const running = ({ giver, taker }: World): number => Number(giver.runs) + Number(taker.runs);

  test("there is much to look at", () => {
    expect(worlds.length).toBeGreaterThan(1000);
    expect(settled.length).toBeGreaterThan(50);
  });

  test("the guest never runs at both ends", () => {
    expect(story(worlds.filter((world) => running(world) > 1))).toEqual([]);
  });

  test("the taker never has a guest that has gone on at the giver", () => {
    expect(
      story(worlds.filter(({ wentOn, taker }) => wentOn && (taker.runs || taker.state.kind === "owns"))),
    ).toEqual([]);
  });

  test("without a decision of the giver or an operator the taker does not start it", () => {
    const started = worlds.filter(({ taker, resolved }) => taker.runs && !resolved);
    expect(story(started.filter(({ giver }) => giver.record !== "given" && giver.record !== "gone"))).toEqual(
      [],
    );
    expect(started.length).toBeGreaterThan(0);
  });

  test("it is lost only with the process that had it", () => {
    const lost = settled.filter((world) => running(world) === 0 && world.giver.alive && world.taker.alive);
    expect(story(lost)).toEqual([]);
    const taker = settled.filter((world) => running(world) === 0 && world.giver.alive);
    expect(story(taker.filter(({ taker: { record } }) => record !== "owner"))).toEqual([]);
  });

  test("a process that is started again does not start a guest that is elsewhere", () => {
    const restartable = worlds.filter(({ giver }) => !giver.alive && giver.record === "owner");
    expect(story(restartable.filter(({ taker }) => taker.runs))).toEqual([]);
    expect(restartable.length).toBeGreaterThan(0);
  });

  test("an operator always finds an answer, and is needed only while the decision is on the way", () => {
    const doubts = worlds.filter(
      (world) =>
        isQuiet(world) &&
        ((world.giver.alive && giverIsInDoubt(world.giver.state)) ||
          (world.taker.alive && takerIsInDoubt(world.taker.state))),
    );
    const unanswered = doubts.filter(
      (world) => advise(whatGiverKnows(world), whatTakerKnows(world)) === "wait",
    );
    expect(story(unanswered)).toEqual([]);
    expect(doubts.length).toBeGreaterThan(0);
  });

  test("nothing happens, and it has moved", () => {
    const moved = worlds.find(
      ({ taker, giver, links }) => links.every(({ up }) => up) && taker.runs && giver.state.kind === "gone",
    );
    expect(moved?.giver.runs).toBe(false);
  });
});
