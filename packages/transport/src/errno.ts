import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";
import { getSystemErrorMap } from "node:util";

/** What strerror says where Node's own text differs from it. */
const TEXTS: Readonly<Record<string, string>> = {
  EACCES: "Permission denied",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EAI_AGAIN: "Temporary failure in name resolution",
  EHOSTUNREACH: "No route to host",
  EMFILE: "Too many open files",
  ENOTFOUND: "Name or service not known",
  ENOTSOCK: "Socket operation on non-socket",
};

/** The operating system's words for a failed system call, for example `Connection refused`. */
export function describeSystemError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errno } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : TEXTS[code];
  if (known !== undefined) return known;
  const text = messageOf(code, errno) ?? error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `text: <what the system said>` as a MigrationError. One that is a MigrationError already stays as it is. */
export function systemError(code: ErrorCode, text: string, cause: unknown): MigrationError {
  if (MigrationError.is(cause)) return cause;
  return new MigrationError(code, `${text}: ${describeSystemError(cause)}`, { cause });
}

/** What the kernel says of a connection that it has given up because nothing was answered. */
export function isSilence(cause: unknown): boolean {
  const { code } = cause instanceof Error ? (cause as NodeJS.ErrnoException) : {};
  return code === "ETIMEDOUT" || code === "EHOSTUNREACH" || code === "ENETUNREACH";
}

/** A failed attempt at several addresses of one name carries a code but no number. */
function messageOf(code: string | undefined, errno: number | undefined): string | undefined {
  const errors = getSystemErrorMap();
  if (errno !== undefined) return errors.get(errno)?.[1];
  if (code === undefined) return undefined;
  for (const [name, message] of errors.values()) {
    if (name === code) return message;
  }
  return undefined;
}
