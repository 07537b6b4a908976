/** What the monitor accepts and keeps for its clients. */
export interface MonitorLimits {
  /** Clients at a time; more are turned away. */
  readonly clients: number;
  /** Bytes of one JSON object. */
  readonly objectBytes: number;
  /** Bytes of answers and events that wait for one client; one that leaves more unread is dropped. */
  readonly outputBytes: number;
  /** Milliseconds that closing waits for a client to take its last answers. */
  readonly closeTimeout: number;
}

export const DEFAULT_MONITOR_LIMITS: MonitorLimits = {
  clients: 16,
  objectBytes: 64 * 1024,
  outputBytes: 1024 * 1024,
  closeTimeout: 1000,
};

/** How deep the maps and arrays of a message may be nested: as deep as QEMU takes them. */
export const MAX_MESSAGE_DEPTH = 1024;
