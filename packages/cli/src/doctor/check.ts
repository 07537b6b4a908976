import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";

/** `note`: it could not be looked at, or is only worth knowing. */
export type CheckStatus = "ok" | "note" | "warning" | "failed";

/** One line of the doctor. */
export interface Check {
  /** What was looked at, in a word. */
  readonly check: string;
  readonly status: CheckStatus;
  readonly text: string;
  /** Of a failure. */
  readonly code?: ErrorCode;
}

export function check(name: string, status: Exclude<CheckStatus, "failed">, text: string): Check {
  return { check: name, status, text };
}

/** @param advice follows the message of the error. */
export function failed(name: string, error: unknown, advice?: string): Check {
  const { code, message } = MigrationError.from(error);
  return {
    check: name,
    status: "failed",
    code,
    text: advice === undefined ? message : `${message}: ${advice}`,
  };
}

/** What `work` finds, or that it failed. */
export async function checked(name: string, work: () => Promise<Check> | Check): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    return failed(name, error);
  }
}
