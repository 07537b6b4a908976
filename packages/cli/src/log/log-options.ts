export const LOG_FORMATS = ["auto", "text", "json"] as const;

/** From the one that tells least. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** What an agent writes to the standard error beside what its guest does. */
export interface LogOptions {
  /** `auto`: text on a terminal, else JSON. */
  readonly format: (typeof LOG_FORMATS)[number];
  /** Undefined: what suits the format. */
  readonly level: LogLevel | undefined;
}
