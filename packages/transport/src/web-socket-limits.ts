/** What both sides have to offer and accept in the handshake. */
export const SUBPROTOCOL = "peregrine.migration.v1";

/** Bytes of a message that is accepted. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * Pieces that a message may come in: parts of it by the protocol, and reads of the socket. Each takes a hundred bytes
 * beside its own.
 */
export const MAX_FRAGMENTS = 1024;
export const MAX_READS_OF_MESSAGE = 16_384;

/** Bytes that wait to be sent to a peer; while there are more, its pings are not answered. */
const MAX_WAITING_FOR_PONG = 64 * 1024;

/** What is told the library about every WebSocket, at either end. */
export const WEB_SOCKET_OPTIONS = {
  perMessageDeflate: false,
  // It would keep an answer to each ping of a peer that reads none.
  autoPong: false,
  maxFragments: MAX_FRAGMENTS,
  maxBufferedChunks: MAX_READS_OF_MESSAGE,
} as const;

/** Answers pings for as long as the peer takes the answers. */
export function answerPings(webSocket: PingedSocket): void {
  webSocket.on("ping", (data) => {
    if (webSocket.bufferedAmount <= MAX_WAITING_FOR_PONG) webSocket.pong(data);
  });
}

interface PingedSocket {
  readonly bufferedAmount: number;
  on(event: "ping", listener: (data: Buffer) => void): unknown;
  pong(data: Buffer): void;
}

/** Bytes of the head of a handshake. */
export const MAX_HANDSHAKE_BYTES = 16 * 1024;

/** Connections that a listener holds, in a handshake or behind it: those of one migration, and many that are none. */
export const MAX_CONNECTIONS = 1024;

/** How long the peer may take for its part of the closing handshake, when everything is said. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 1000;

/** How long a client may take to say what it wants. Milliseconds. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * How long a server may say nothing before it has answered that. Milliseconds. Less than the 10 s in which it is to be known
 * what has become of a migration.
 */
export const ANSWER_TIMEOUT_MS = 8000;

/** How often it is looked who has taken longer. Milliseconds. */
const HANDSHAKE_CHECK_MS = 1000;

/** Of an HTTP server that only makes WebSockets. */
export const HANDSHAKE_OPTIONS = {
  maxHeaderSize: MAX_HANDSHAKE_BYTES,
  headersTimeout: HANDSHAKE_TIMEOUT_MS,
  requestTimeout: HANDSHAKE_TIMEOUT_MS,
  connectionsCheckingInterval: HANDSHAKE_CHECK_MS,
} as const;
