import { present } from "../log/output.ts";

/** A line for the user, beside what the guest prints. */
export function say(text: string): void {
  present().say(text);
}

/** What went wrong, in one line. @param cause of a defect, which is of no use without where it is. */
export function sayError(
  { code, message }: { readonly code: string; readonly message: string },
  cause?: unknown,
): void {
  const stack = code === "INTERNAL" && cause instanceof Error ? cause.stack : undefined;
  present().sayError({ code, message, stack });
}
