/** What belongs to an entry of the log, by which entries are found. Never a token, a key or an address that may hold one. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Entries for who looks later at what has happened. */
export interface Log {
  readonly error: (text: string, fields?: LogFields) => void;
  readonly warn: (text: string, fields?: LogFields) => void;
  readonly info: (text: string, fields?: LogFields) => void;
  readonly debug: (text: string, fields?: LogFields) => void;
}

/** Messages for the user of a command, who waits for them: in text they are always shown, word for word. */
export interface Messages {
  readonly say: (text: string) => void;
  /** `stack`: where a defect is. */
  readonly sayError: (error: {
    readonly code: string;
    readonly message: string;
    readonly stack?: string | undefined;
  }) => void;
}

/** Where both of them go. */
export interface LogOutput extends Messages {
  readonly log: Log;
}

export const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

/** Messages as lines, and no log. What every command has that is not told otherwise. */
export const PLAIN: LogOutput = {
  log: SILENT,
  say: (text) => void process.stderr.write(`peregrine: ${text}\n`),
  sayError({ code, message, stack }) {
    process.stderr.write(`peregrine: ${code}: ${message}\n`);
    if (stack !== undefined) process.stderr.write(`${stack}\n`);
    // What a program reads stays one line.
    if (process.stderr.isTTY) process.stderr.write(`What to do: peregrine help ${code}\n`);
  },
};
