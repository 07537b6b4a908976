import type { Login, OpeningPolicy } from "@peregrine/monitor";
import { decodeMessage, encodeMessage } from "@peregrine/monitor/web";
import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { WebSocket } from "ws";
import { Action, carryOut } from "./actions.ts";
import type { Guests, Viewer } from "./guests.ts";
import type { Frame, ToPage, WatchedView } from "./messages.ts";

/** Bytes that wait for a page; while there are more it gets no frames, and the next one has what it missed. */
export const MOST_WAITING = 64 * 1024;

/** Bytes that wait for a page. One that leaves more unread is dropped, as a client of the monitor is. */
export const MOST_UNREAD = 1024 * 1024;

/** A page that has taken nothing for so long is dropped. Milliseconds. */
const STUCK_MS = 30_000;

/** So that a page knows that it still sees what is. Milliseconds. */
const HEARTBEAT_MS = 1000;

/** What a page may ask for before it has the answers. */
const MOST_PENDING = 8;

/** Close codes of RFC 6455. */
const CLOSE = { normal: 1000, protocol: 1002, policy: 1008 } as const;

const TOKEN_NEEDED = "This dashboard needs its token first";

const Message = v.variant("kind", [
  v.strictObject({ kind: v.literal("login"), token: v.string() }),
  v.strictObject({ kind: v.literal("watch"), guest: v.nullable(v.string()) }),
  v.strictObject({
    kind: v.literal("act"),
    id: v.number(),
    guest: v.string(),
    action: Action,
  }),
]);

type Message = v.InferOutput<typeof Message>;

export interface PageSessionOptions {
  readonly socket: Pick<WebSocket, "on" | "send" | "close" | "terminate" | "bufferedAmount">;
  readonly login: Login;
  readonly guests: Guests;
  readonly policy: OpeningPolicy;
  readonly version: string;
}

/**
 * One page. Frames are never queued: one has what has changed since the last one that was sent. Until the page has given
 * the token, whatever it sends is a try, and it has to await the answer.
 */
export class PageSession implements Viewer {
  readonly login: Login;
  readonly #options: PageSessionOptions;
  /** Of each guest, as the page has it. */
  readonly #revisions = new Map<string, number>();
  #watched: string | null = null;
  /** What the page has of the guest that it watches. */
  #seen = { generation: -1, points: 0, memory: -1 };
  #lastFrame = 0;
  #stuckSince: number | undefined;
  #pending = 0;
  /** A try is not answered yet. */
  #isTrying = false;
  /** It is being closed. The socket may still tell of messages, which are not heard any more. */
  #isEnded = false;
  #leave: (() => void) | undefined;

  constructor(options: PageSessionOptions) {
    this.#options = options;
    this.login = options.login;
    const { socket } = options;
    this.login.begin(() => this.#drop());
    socket.on("message", (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
  }

  get watched(): string | null {
    return this.#watched;
  }

  /** Sends what has changed, if anything has. To be called at the rate of frames. `now`: milliseconds since 1970. */
  tick(now: number): void {
    if (!this.login.isKnown) return;
    if (this.#options.socket.bufferedAmount > MOST_WAITING) {
      this.#stuckSince ??= now;
      if (now - this.#stuckSince > STUCK_MS) this.#drop();
      return;
    }
    this.#stuckSince = undefined;
    const frame = this.#frame(now);
    const isEmpty = frame.guests.length === 0 && frame.gone.length === 0 && frame.watched === null;
    if (isEmpty && now - this.#lastFrame < HEARTBEAT_MS) return;
    this.#lastFrame = now;
    this.#send(frame);
  }

  close(): void {
    this.#end(CLOSE.normal);
  }

  #frame(at: number): Frame {
    const watchers = this.#options.guests.all;
    const present = new Set(watchers.map(({ id }) => id));
    const gone = [...this.#revisions.keys()].filter((id) => !present.has(id));
    for (const id of gone) this.#revisions.delete(id);
    const changed = watchers.filter(({ id, revision }) => this.#revisions.get(id) !== revision);
    for (const { id, revision } of changed) this.#revisions.set(id, revision);
    return { kind: "frame", at, guests: changed.map(({ view }) => view), gone, watched: this.#watchedView() };
  }

  #watchedView(): WatchedView | null {
    const watcher = this.#watched === null ? undefined : this.#options.guests.get(this.#watched);
    if (watcher === undefined) return null;
    const { history, memory, memoryRevision, id } = watcher;
    const seen = this.#seen;
    const restart = seen.generation !== history.generation;
    const points = history.since(restart ? 0 : seen.points);
    const hasMemory = seen.memory !== memoryRevision;
    if (!restart && points.length === 0 && !hasMemory) return null;
    this.#seen = { generation: history.generation, points: history.length, memory: memoryRevision };
    return { guest: id, restart, points, memory: hasMemory ? memory : null };
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#isEnded) return;
    if (this.#isTrying && !this.login.isKnown) {
      this.#end(CLOSE.policy, "one try at a time");
      return;
    }
    let message: Message;
    try {
      const parsed = v.safeParse(Message, isBinary ? decodeMessage(data) : undefined);
      if (!parsed.success)
        throw new MigrationError("BAD_COMMAND", `not a message: ${parsed.issues[0].message}`);
      message = parsed.output;
    } catch {
      this.#end(CLOSE.protocol, "not a message that a dashboard understands");
      return;
    }
    // Nothing that comes before the token is carried out, nor is it said what it would have come to.
    if (!this.login.isKnown) void this.#logIn(message.kind === "login" ? message.token : undefined);
    else if (message.kind === "watch") this.#watch(message.guest);
    else if (message.kind === "act") void this.#act(message);
  }

  async #logIn(token: string | undefined): Promise<void> {
    this.#isTrying = true;
    try {
      await this.login.attempt(token, "");
    } catch (error) {
      this.#refuse(token === undefined ? TOKEN_NEEDED : MigrationError.from(error).message);
      return;
    } finally {
      this.#isTrying = false;
    }
    this.#leave = this.#options.guests.addViewer(this);
    this.#send({ kind: "welcome", version: this.#options.version });
    this.tick(Date.now());
  }

  #refuse(message: string): void {
    this.#send({ kind: "refused", message });
    if (this.login.isOver) this.#end(CLOSE.policy, "too many tries");
  }

  #watch(guest: string | null): void {
    this.#watched = guest;
    this.#seen = { generation: -1, points: 0, memory: -1 };
    if (guest !== null) this.#options.guests.get(guest)?.hurry();
  }

  async #act({ id, guest, action }: Extract<Message, { kind: "act" }>): Promise<void> {
    const watcher = this.#options.guests.get(guest);
    this.#pending++;
    try {
      if (this.#pending > MOST_PENDING)
        throw new MigrationError("IN_PROGRESS", "Too much was asked for at once");
      const link = watcher?.link;
      if (link === undefined)
        throw new MigrationError("NO_SUCH_GUEST", "The agent of this guest cannot be reached");
      await carryOut(action, link, this.#options.policy);
      this.#send({ kind: "done", id, error: null });
    } catch (error) {
      this.#send({ kind: "done", id, error: MigrationError.from(error).message });
    } finally {
      this.#pending--;
      watcher?.hurry();
    }
  }

  #send(message: ToPage): void {
    const { socket } = this.#options;
    if (socket.bufferedAmount > MOST_UNREAD) this.#drop();
    else socket.send(encodeMessage(message), { binary: true }, () => {});
  }

  #end(code: number, reason?: string): void {
    this.#isEnded = true;
    this.#options.socket.close(code, reason);
  }

  #drop(): void {
    this.#isEnded = true;
    this.#options.socket.terminate();
  }

  #onClose(): void {
    this.login.end();
    this.#leave?.();
  }
}
