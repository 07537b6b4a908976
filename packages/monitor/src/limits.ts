/** What the monitor accepts and keeps for its clients. */
export interface MonitorLimits {
  /** Clients at a time; more are turned away. */
  readonly clients: number;
  /** Bytes of one JSON object. */
  readonly objectBytes: number;
  /** Bytes of answers and events that wait for one client; one that leaves more unread is dropped. */
  readonly outputBytes: number;
  /** Clients at a time that have not shown yet that they may be here; more are turned away. */
  readonly logins: number;
  /** How often one of them may try. */
  readonly loginTries: number;
  /** Milliseconds that it has for it. */
  readonly loginTimeout: number;
  /** Milliseconds after which a wrong token is answered. */
  readonly loginDelay: number;
  /** Milliseconds that closing waits for a client to take its last answers. */
  readonly closeTimeout: number;
}

/** What holds unless something else is said. */
export const DEFAULT_MONITOR_LIMITS: MonitorLimits = {
  clients: 16,
  objectBytes: 64 * 1024,
  outputBytes: 1024 * 1024,
  logins: 8,
  loginTries: 3,
  loginTimeout: 10_000,
  loginDelay: 1000,
  closeTimeout: 1000,
};

/** How deep the maps and arrays of a message may be nested: as deep as QEMU takes them. */
export const MAX_MESSAGE_DEPTH = 1024;
