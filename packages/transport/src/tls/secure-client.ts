import { MigrationError } from "@peregrine/protocol";
import type net from "node:net";
import tls from "node:tls";
import { abortError } from "../socket-connect.ts";
import { CipherStream } from "./cipher-stream.ts";
import type { ClientTls } from "./credentials.ts";
import { checkServer } from "./identity.ts";
import type { PeerIdentity } from "./identity.ts";
import { clientOptions, HANDSHAKE_TIMEOUT_MS } from "./session.ts";
import { handshakeFailure } from "./tls-failure.ts";
import { TlsStream } from "./tls-stream.ts";
import { GREETING_PROTOCOL, readVerdict } from "./verdict.ts";

export interface SecureClientOptions {
  readonly tls: ClientTls;
  /** As error texts name the other side. */
  readonly peer: string;
  /** What was dialled. Undefined where that is no host. */
  readonly host: string | undefined;
  /** What follows: a migration, or something that has a beginning of its own. Default: a migration. */
  readonly protocol?: string;
  readonly signal?: AbortSignal | undefined;
}

/** A connection on which the other side is known, and does not know this one yet. */
export interface KnownServer {
  readonly identity: PeerIdentity;
  /** Whether it says if it accepts this side. A QEMU does not. */
  readonly greets: boolean;
  /** Shows this side, and resolves when the other one accepts it, as far as it says so. Errors: TLS_FAILED. */
  proceed(): Promise<TlsStream>;
  /** Leaves it. The other side has seen a handshake that was not finished. */
  leave(): void;
}

/**
 * Makes TLS of a connected socket that nothing was read from, and makes sure who is there before anything of this side
 * is shown. The socket is gone when that fails. Errors: TLS_FAILED; what the signal says.
 */
export async function secureClient(socket: net.Socket, options: SecureClientOptions): Promise<TlsStream> {
  const { peer, signal } = options;
  const known = await meetServer(socket, options);
  return orAbort(known.proceed(), { peer, signal, drop: () => known.leave() });
}

/** The first half of {@link secureClient}. Errors: TLS_FAILED; what the signal says. */
export async function meetServer(socket: net.Socket, options: SecureClientOptions): Promise<KnownServer> {
  const { tls: settings, peer, protocol = GREETING_PROTOCOL, signal } = options;
  if (socket.destroyed) throw handshakeFailure(gone(), peer);
  const cipher = new CipherStream(socket, true);
  try {
    const name = expectedName(options);
    const secure = tls.connect({ ...clientOptions(settings, name, protocol), socket: cipher });
    const stream = new TlsStream({ secure, cipher, socket, peer });
    await orAbort(handshake(secure, stream, peer), { peer, signal, drop: () => cipher.destroy() });
    const identity = checkServer(secure, settings, name, peer);
    const greets = secure.alpnProtocol === GREETING_PROTOCOL;
    return {
      identity,
      greets,
      proceed: async () => {
        cipher.release();
        if (greets) await verdict(stream, peer);
        return stream;
      },
      leave: () => stream.destroy(),
    };
  } catch (error) {
    cipher.destroy();
    throw error;
  }
}

/** Errors: TLS_FAILED where there is no host, and none was named. */
function expectedName({ tls: { hostname, credentials }, host, peer }: SecureClientOptions): string {
  const name = hostname ?? host;
  if (name !== undefined) return name;
  if (credentials.kind === "psk" || !credentials.verifyPeer) return "";
  throw new MigrationError(
    "TLS_FAILED",
    `No hostname available for TLS: '${peer}' is no host, so name the one that the certificate has with tls-hostname`,
  );
}

function handshake(secure: tls.TLSSocket, stream: TlsStream, peer: string): Promise<void> {
  return new Promise((resolve, reject) => {
    secure.once("secureConnect", () => resolve());
    stream.once("error", (error) => reject(handshakeFailure(error, peer)));
    stream.once("close", () => reject(handshakeFailure(gone(), peer)));
  });
}

function gone(): Error {
  return Object.assign(new Error("the connection is gone"), { code: "ECONNRESET" });
}

async function verdict(stream: TlsStream, peer: string): Promise<void> {
  let refusal: string | undefined;
  try {
    refusal = await readVerdict(stream, peer);
  } catch (error) {
    throw handshakeFailure(error, peer);
  }
  if (refusal === undefined) return;
  throw new MigrationError("TLS_FAILED", `The destination '${peer}' refused this side: ${refusal}`);
}

interface Abortable {
  readonly peer: string;
  readonly signal: AbortSignal | undefined;
  readonly drop: () => void;
}

/** `work`, unless the signal is given or it takes too long; then, and when it fails, the connection is dropped. */
export async function orAbort<T>(work: Promise<T>, { peer, signal, drop }: Abortable): Promise<T> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(abortError(signal, peer));
  const timer = setTimeout(() => {
    const seconds = HANDSHAKE_TIMEOUT_MS / 1000;
    const text = `TLS with '${peer}' failed: it did not answer within ${seconds} s; it may have no TLS (tls-creds)`;
    reject(new MigrationError("TLS_FAILED", text));
  }, HANDSHAKE_TIMEOUT_MS);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, givenUp]);
  } catch (error) {
    drop();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
