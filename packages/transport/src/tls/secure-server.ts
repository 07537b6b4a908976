import { MigrationError } from "@peregrine/protocol";
import type net from "node:net";
import tls from "node:tls";
import { CipherStream } from "./cipher-stream.ts";
import type { ServerTls } from "./credentials.ts";
import { checkClient } from "./identity.ts";
import { serverOptions } from "./session.ts";
import { handshakeFailure, isGone } from "./tls-failure.ts";
import { TlsStream } from "./tls-stream.ts";
import { encodeVerdict, GREETING_PROTOCOL } from "./verdict.ts";

/** Handshakes at a time. Of more the oldest is given up, so that strangers who say nothing keep nobody out. */
const MAX_HANDSHAKES = 64;

/** How long a client may take to read why it is refused, milliseconds. */
const LAST_WORDS_MS = 2000;

export interface SecureServerOptions {
  readonly tls: ServerTls;
  /** What follows: a migration, or something that has a beginning of its own. Default: a migration. */
  readonly protocol?: string;
  /** Takes a client that is known and may connect. */
  readonly accept: (stream: TlsStream) => void;
  /** Tells a client of `protocol` why it is refused, and ends the stream. Default: as a migration does it. */
  readonly refuse?: (stream: TlsStream, reason: string) => void;
  /** Told of every connection that came to nothing. */
  readonly refused: (error: MigrationError) => void;
}

/** Makes TLS of connections, each by itself: nothing that one of them does reaches the others. */
export class SecureServer {
  readonly #options: SecureServerOptions;
  /** Those that are not known yet, oldest first. */
  readonly #strangers = new Set<net.Socket>();
  #closed = false;

  /** Errors: BAD_CREDENTIALS for credentials that cannot be used. */
  constructor(options: SecureServerOptions) {
    this.#options = options;
    // Otherwise the first client would find that out.
    this.#server(() => undefined);
  }

  /** Takes a connection that nothing was read from. */
  add(socket: net.Socket, peer: string): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    const [oldest] = this.#strangers;
    if (this.#strangers.size >= MAX_HANDSHAKES) oldest!.destroy();
    this.#strangers.add(socket);
    socket.once("close", () => this.#strangers.delete(socket));
    let key: string | undefined;
    const cipher = new CipherStream(socket);
    const server = this.#server((name) => {
      key = name;
    });
    let isRefused = false;
    const refuse = (error: unknown): void => {
      // Who leaves during the handshake was looking, or does not like this side and says so there.
      if (!isRefused && !this.#closed && !isGone(error)) this.#options.refused(handshakeFailure(error, peer));
      isRefused = true;
      cipher.destroy();
    };
    socket.once("error", refuse);
    server.once("tlsClientError", refuse);
    server.once("secureConnection", (secure) => {
      socket.off("error", refuse);
      cipher.quiet();
      // It is made now, so that no end is missed.
      const stream = new TlsStream({ secure, cipher, socket, peer });
      void this.#meet(stream, socket, key);
    });
    server.emit("connection", cipher);
  }

  /** Drops those that are not known yet. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#strangers) socket.destroy();
  }

  /** One for each connection: it holds nothing but the keys, and no session can be gone on with that another has begun. */
  #server(identified: (name: string) => void): tls.Server {
    const { tls: settings, protocol = GREETING_PROTOCOL } = this.#options;
    try {
      return tls.createServer(serverOptions(settings.credentials, protocol, identified));
    } catch (cause) {
      const { id, directory } = settings.credentials;
      const text = `The credentials '${id}' in '${directory}' cannot be used: ${MigrationError.from(cause).message}`;
      throw new MigrationError("BAD_CREDENTIALS", text, { cause });
    }
  }

  /** Never rejects. */
  async #meet(stream: TlsStream, socket: net.Socket, key: string | undefined): Promise<void> {
    const { tls: settings, accept, refused } = this.#options;
    try {
      await checkClient(stream.secure, settings, key, stream.peer);
    } catch (error) {
      const { message } = MigrationError.from(error);
      refused(MigrationError.from(error));
      this.#refuse(stream, message);
      return;
    }
    this.#strangers.delete(socket);
    if (this.#closed || stream.destroyed) {
      stream.destroy();
      return;
    }
    if (this.#greets(stream)) stream.write(encodeVerdict(undefined));
    accept(stream);
  }

  #greets({ secure }: TlsStream): boolean {
    return secure.alpnProtocol === GREETING_PROTOCOL;
  }

  /** The client is told why, if it understands that. */
  #refuse(stream: TlsStream, reason: string): void {
    const timer = setTimeout(() => stream.destroy(), LAST_WORDS_MS);
    stream.once("close", () => clearTimeout(timer));
    // Reading to the client's end keeps the last words from being lost.
    stream.resume();
    if (this.#options.refuse !== undefined) this.#options.refuse(stream, reason);
    else if (this.#greets(stream)) stream.end(encodeVerdict(reason));
    else stream.destroy();
  }
}
