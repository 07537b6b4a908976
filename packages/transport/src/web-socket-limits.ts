/** What both sides have to offer and accept in the handshake. */
export const SUBPROTOCOL = "peregrine.migration.v1";

/** Bytes of a message that is accepted. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** How long the peer may take for its part of the closing handshake, when everything is said. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 1000;

/** How long a client may take to say what it wants. Milliseconds. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** An idle link is probed after this time. Milliseconds. */
export const KEEPALIVE_DELAY_MS = 5000;
