import type net from "node:net";
import { performance } from "node:perf_hooks";
import { descriptorOf } from "./descriptors/descriptor-of.ts";
import { loadVectorCalls } from "./descriptors/vector-calls.ts";
import { loadSocketCalls } from "./descriptors/socket-calls.ts";
import type { LinkState, SocketCalls } from "./descriptors/socket-calls.ts";

/** Milliseconds. */
export const DEFAULT_KEEPALIVE = 5000;

/** A kernel leaves two probes within half a second unanswered, and TCP counts the silence of idle links in seconds. */
const LEAST_LIMIT_MS = 2000;

/** How often it is looked within the time that a dead link may take. */
const LOOKS = 8;
const LONGEST_PERIOD_MS = 1000;

/** TCP's own answers to an idle link, in seconds: it is given up after idle + interval * count. */
export function keepaliveProbes(limit: number): { idle: number; interval: number; count: number } {
  const seconds = Math.floor(Math.max(limit, LEAST_LIMIT_MS) / 1000);
  const interval = Math.max(1, Math.floor(seconds / 5));
  const count = Math.min(3, Math.floor((seconds - 1) / interval));
  return { idle: seconds - interval * count, interval, count };
}

/**
 * Decides from what the kernel knows, look by look, whether a link is dead: the other end's kernel owes an answer, and has
 * given none for as long as it may take. TCP's own TCP_USER_TIMEOUT is not that: it also cuts off a receiver that lives,
 * answers every probe, and only has no room for more.
 */
export class LinkJudge {
  readonly #limit: number;
  #expectingSince: number | undefined;

  /** @param limit milliseconds from the last answer on. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the link is dead. @param now milliseconds of a clock that only goes on. */
  look({ quiet, expectsAnswer }: LinkState, now: number): boolean {
    if (!expectsAnswer) {
      this.#expectingSince = undefined;
      return false;
    }
    // Nobody owed an answer before: the silence until then says nothing.
    this.#expectingSince ??= now;
    return now - Math.max(this.#expectingSince, now - quiet) >= this.#limit;
  }
}

/**
 * Loads what connections need, so that the first one of this thread is not kept waiting. Never rejects: what cannot be had
 * is done without.
 */
export async function prepareConnections(): Promise<void> {
  await Promise.all([loadSocketCalls(), loadVectorCalls()]);
}

/** Loads what {@link watchLink} needs, so that this does not cost the time in which it counts. */
export async function prepareLinkWatch(limit: number | undefined): Promise<void> {
  if (limit !== 0) await loadSocketCalls();
}

/**
 * Has a connection of TCP end when nothing is heard of the other end's kernel for `limit` milliseconds, whether data is in
 * flight or not. Without the calls of the system only an idle link is watched, by TCP's own probes. Those end the socket
 * with ETIMEDOUT. Does nothing for sockets that are no connections of TCP.
 *
 * @param limit milliseconds; 2000 at the least. 0: nothing is watched.
 * @param dead called once, when data is in flight.
 * @returns what ends the watch.
 */
export function watchLink(socket: net.Socket, limit: number, dead: () => void): () => void {
  if (limit === 0 || socket.remoteFamily === undefined) return () => undefined;
  const probes = keepaliveProbes(limit);
  socket.setKeepAlive(true, probes.idle * 1000);
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const end = (): void => {
    over = true;
    clearInterval(timer);
  };
  const begin = async (): Promise<void> => {
    const calls = await loadSocketCalls();
    const descriptor = descriptorOf(socket);
    if (calls === undefined || descriptor === undefined || over) return;
    calls.setKeepalive(descriptor, probes);
    // Where the other end has no room, the kernel asks less and less often, up to once in two minutes.
    calls.setLongestWait(descriptor, Math.max(1000, Math.floor(limit / 4)));
    timer = look(calls, socket, limit, () => {
      end();
      dead();
    });
  };
  void begin();
  return end;
}

function look(calls: SocketCalls, socket: net.Socket, wanted: number, dead: () => void): NodeJS.Timeout {
  const limit = Math.max(wanted, LEAST_LIMIT_MS);
  const period = Math.min(limit / LOOKS, LONGEST_PERIOD_MS);
  // What is found at a look has been so for up to one period.
  const judge = new LinkJudge(limit - period);
  const timer = setInterval(() => {
    const descriptor = descriptorOf(socket);
    const state = descriptor === undefined ? undefined : calls.linkState(descriptor);
    if (state === undefined) clearInterval(timer);
    else if (judge.look(state, performance.now())) dead();
  }, period);
  timer.unref();
  return timer;
}
