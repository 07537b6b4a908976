/**
 * Every stable error code of the project, with what it means for the reader of an error line.
 * A code never changes its meaning; `docs/ERRORS.md` is generated from this table.
 */
export const ERROR_CODES = {
  // The stream
  NOT_A_STREAM: "the input does not start with the magic of a migration stream",
  UNSUPPORTED_VERSION: "the stream's version is not 3",
  CONFIGURATION_MISSING: "the stream has no configuration section where one is required",
  MACHINE_TYPE_MISMATCH: "the stream was made by another machine type",
  UNKNOWN_SECTION: "the stream holds a section that this machine does not have",
  UNSUPPORTED_SECTION_VERSION: "a section is newer than this machine understands",
  BAD_SECTION: "a section's payload breaks its own format",
  BAD_SECTION_ORDER: "a section is missing, came twice or came out of its turn",
  BAD_FOOTER: "a section footer is missing or names another section",
  BAD_RAM_BLOCK: "the stream's list of RAM blocks does not fit this machine",
  BAD_RAM_PAGE: "a page record has an illegal offset or illegal flags",
  BAD_PACKET: "a packet on a multifd channel breaks its own format",
  BAD_STREAM_COMMAND: "a command in the stream is unknown here or malformed",
  BAD_RETURN_MESSAGE: "a message on the return path is unknown or malformed",
  LIMIT_EXCEEDED: "a length on the wire is larger than the limit for it",
  TRUNCATED: "the stream ended in the middle of something",
  UNEXPECTED_DATA: "the peer sent bytes where none may follow",
  // The channel
  BAD_ADDRESS: "an address could not be understood",
  UNKNOWN_SCHEME: "the address names a transport that does not exist here",
  CONNECT_FAILED: "no connection could be made",
  LISTEN_FAILED: "the address could not be listened on",
  CHANNEL_FAILED: "the connection broke",
  CHANNEL_CUT: "a connection with TLS ended without the end that TLS has: somebody cut it, or the peer died",
  TLS_FAILED: "TLS was not agreed on, or one side does not accept who the other one is",
  BAD_CREDENTIALS: "TLS credentials are missing, cannot be read, are open to others or do not fit together",
  // The migration
  IN_PROGRESS: "a migration is already in progress",
  BLOCKED: "the guest cannot be migrated now; the reason is in the message",
  CANCELLED: "the migration was cancelled",
  WRONG_STATE: "the command is not allowed in the present run state",
  PEER_REFUSED: "the destination refused the migration",
  PEER_SILENT: "the other side has said nothing for too long; it is dead, frozen or cut off",
  UNDECIDED:
    "the connection broke while the guest was being handed over, and an operator has to say who has it",
  GUEST_ELSEWHERE: "by this agent's records the guest was given away",
  LOAD_FAILED: "the incoming migration could not be loaded",
  DEVICE_STATE: "a device could not save or load its state",
  // The guest
  NO_SUCH_FILE: "a file that was named does not exist or cannot be read",
  WRITE_FAILED: "a file that was asked for could not be written",
  NOT_WASM: "the file is not a WebAssembly module",
  UNSUPPORTED_FEATURE: "the module uses something that cannot be migrated",
  GUEST_TRAP: "the guest program trapped",
  GUEST_ENDED: "the guest program ended before it was moved",
  STORE_FAILED: "a virtual machine could not be kept on disk, or its file could not be given up",
  // Drives
  DRIVE_LOCKED: "another process holds the lock of a drive's image file",
  NO_DRIVE_LOCKS: "image files of drives cannot be locked on this host",
  BAD_DRIVE: "a drive's image file does not fit the guest, or the stream's chunks do not fit the drive",
  // Control
  BAD_PARAMETER: "a parameter's value is not allowed",
  BAD_COMMAND: "a monitor command could not be understood",
  COMMAND_NOT_FOUND: "the monitor has no such command, or not before its capabilities are negotiated",
  COMMAND_FAILED: "the monitor refused a command; the reason is in the message",
  NO_SUCH_GUEST: "no running guest has this name",
  NAME_IN_USE: "another running guest has this name",
  TOKEN_NEEDED:
    "a monitor, or metrics, at an address that others can reach need a token, or the token cannot be used",
  ACCESS_DENIED: "the monitor did not let its client in, for want of the right token for example",
  EXEC_NOT_ALLOWED: "commands of exec: are not run without --allow-exec",
  NOT_FROM_NETWORK: "a monitor's client that comes over the network may not name this",
  BAD_CONFIGURATION: "a configuration file cannot be read, or says something that is not understood",
  HOOK_FAILED: "a command that was to run because the guest came or left has failed, or took too long",
  USAGE: "the command line could not be understood",
  INTERNAL: "a defect of this program",
} as const;

/** A stable name of what went wrong. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Where in a stream it happened, and why. */
export interface MigrationErrorDetail {
  /** What caused it, kept for the log. */
  readonly cause?: unknown;
  /** Byte offset in the stream, counted from its first byte. */
  readonly offset?: number;
  /** Name of the section being read or written. */
  readonly section?: string;
  /** Name of the last section that was complete. */
  readonly lastGoodSection?: string;
}

const BRAND = Symbol.for("peregrine.MigrationError");

/** Characters of a message. Most names on the wire have at most 255 bytes, but a vmdescription may have any. */
const LONGEST_MESSAGE = 4000;

/**
 * A message may hold names that a peer chose. What would act on a terminal or begin a line is shown as its code, and
 * of a very long message the middle is left out.
 */
function printable(message: string): string {
  const half = LONGEST_MESSAGE / 2;
  const whole = message.length <= LONGEST_MESSAGE;
  const text = whole ? message : `${message.slice(0, half)} ... ${message.slice(-half)}`;
  return text.replaceAll(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * The one error class. `message` is a single sentence for a person: what, where, what to do.
 * It crosses threads as {@link SerializedError}, because structured clone drops subclasses.
 */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
  readonly code: ErrorCode;
  readonly offset: number | undefined;
  readonly section: string | undefined;
  readonly lastGoodSection: string | undefined;
  readonly [BRAND] = true;

  constructor(code: ErrorCode, message: string, detail: MigrationErrorDetail = {}) {
    super(printable(message), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.offset = detail.offset;
    this.section = detail.section;
    this.lastGoodSection = detail.lastGoodSection;
  }

  static is(value: unknown): value is MigrationError {
    return typeof value === "object" && value !== null && BRAND in value;
  }

  /** Wraps anything thrown: a MigrationError stays as it is, the rest becomes `fallback`. */
  static from(value: unknown, fallback: ErrorCode = "INTERNAL"): MigrationError {
    if (MigrationError.is(value)) return value;
    const message = value instanceof Error ? value.message : String(value);
    return new MigrationError(fallback, message, { cause: value });
  }

  serialize(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(this.offset === undefined ? {} : { offset: this.offset }),
      ...(this.section === undefined ? {} : { section: this.section }),
      ...(this.lastGoodSection === undefined ? {} : { lastGoodSection: this.lastGoodSection }),
    };
  }

  static deserialize(value: SerializedError): MigrationError {
    return new MigrationError(value.code, value.message, value);
  }
}

/** A MigrationError as plain data, for worker messages. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly offset?: number;
  readonly section?: string;
  readonly lastGoodSection?: string;
}
