/** Bytes that are read from a connection at once. With less, the turns of the event loop cost more than the processor's cache saves. */
export const READ_BYTES = 2 * 1024 * 1024;
