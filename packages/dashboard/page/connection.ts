import { Packr } from "msgpackr/index-no-eval";
import type { Action } from "../src/actions.ts";
import type { Frame, FromPage, ToPage } from "../src/messages.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Milliseconds until it is tried again, the longest after many failures. */
const RETRY_MS = [250, 500, 1000, 2000, 5000];

/** Without a frame for so long, what is shown may be old. The server sends one a second at least. */
const SILENCE_MS = 4000;

/** Milliseconds after which an answer is no longer waited for. */
const ANSWER_MS = 20_000;

const TOKEN_KEY = "peregrine-token";

export type ConnectionState =
  | { readonly kind: "connecting" }
  /** Whoever is there has to give the token. `refusal`: why the last one was not taken. */
  | { readonly kind: "locked"; readonly refusal: string | null }
  | { readonly kind: "open" }
  | { readonly kind: "silent" };

export interface ConnectionHandlers {
  readonly onState: (state: ConnectionState) => void;
  readonly onFrame: (frame: Frame) => void;
  /** Everything that the page has is forgotten: the next frame has all. */
  readonly onRestart: () => void;
}

/** The WebSocket to the dashboard, made again when it ends. */
export class Connection {
  readonly #handlers: ConnectionHandlers;
  readonly #pending = new Map<number, (error: string | null) => void>();
  #socket: WebSocket | undefined;
  #token: string | null = takeToken();
  #failures = 0;
  #refusal: string | null = null;
  #lastId = 0;
  #watched: string | null = null;
  #isOpen = false;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(handlers: ConnectionHandlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  logIn(token: string): void {
    this.#token = token;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send({ kind: "login", token });
    else this.#connect();
  }

  logOut(): void {
    sessionStorage.removeItem(TOKEN_KEY);
    this.#token = null;
    this.#socket?.close();
  }

  watch(guest: string | null): void {
    this.#watched = guest;
    if (this.#isOpen) this.#send({ kind: "watch", guest });
  }

  /** Resolves with what went wrong, in one sentence, or null. */
  act(guest: string, action: Action): Promise<string | null> {
    if (!this.#isOpen) return Promise.resolve("The dashboard is not connected");
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const overdue = setTimeout(() => this.#answer(id, "The agent did not answer in time"), ANSWER_MS);
      this.#pending.set(id, (error) => {
        clearTimeout(overdue);
        resolve(error);
      });
      this.#send({ kind: "act", id, guest, action });
    });
  }

  #connect(): void {
    if (this.#socket !== undefined && this.#socket.readyState <= WebSocket.OPEN) return;
    this.#handlers.onState({ kind: "connecting" });
    const socket = new WebSocket(new URL("/socket", location.href.replace(/^http/u, "ws")));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      if (this.#token === null) this.#handlers.onState({ kind: "locked", refusal: null });
      else this.#send({ kind: "login", token: this.#token });
    });
    socket.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => {
      this.#receive(packr.unpack(new Uint8Array(data)) as ToPage);
    });
    socket.addEventListener("close", () => this.#closed(socket));
    this.#socket = socket;
  }

  #receive(message: ToPage): void {
    switch (message.kind) {
      case "refused":
        sessionStorage.removeItem(TOKEN_KEY);
        this.#token = null;
        this.#refusal = message.message;
        this.#handlers.onState({ kind: "locked", refusal: this.#refusal });
        return;
      case "welcome":
        this.#failures = 0;
        this.#refusal = null;
        this.#isOpen = true;
        sessionStorage.setItem(TOKEN_KEY, this.#token ?? "");
        this.#handlers.onRestart();
        this.#handlers.onState({ kind: "open" });
        if (this.#watched !== null) this.#send({ kind: "watch", guest: this.#watched });
        return;
      case "frame":
        this.#heard();
        this.#handlers.onFrame(message);
        return;
      case "done":
        this.#answer(message.id, message.error);
    }
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#handlers.onState({ kind: "silent" }), SILENCE_MS);
  }

  #answer(id: number, error: string | null): void {
    this.#pending.get(id)?.(error);
    this.#pending.delete(id);
  }

  #closed(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#isOpen = false;
    clearTimeout(this.#silence);
    for (const id of this.#pending.keys()) this.#answer(id, "The connection to the dashboard was lost");
    // One that has no token waits for it, and connects when it is there.
    if (this.#token === null) {
      this.#handlers.onState({ kind: "locked", refusal: this.#refusal });
      return;
    }
    this.#handlers.onState({ kind: "connecting" });
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)]!;
    setTimeout(() => this.#connect(), wait);
  }

  #send(message: FromPage): void {
    this.#socket?.send(packr.pack(message) as Uint8Array<ArrayBuffer>);
  }
}

/**
 * A token that came in the fragment of the address, which browsers send to nobody, or that was given in this tab before.
 * It is taken out of the address, so that it is in no history.
 */
function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return sessionStorage.getItem(TOKEN_KEY);
  history.replaceState(null, "", location.pathname);
  return given;
}
