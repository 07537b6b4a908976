/** A line for the user, beside what the guest prints. */
export function say(text: string): void {
  process.stderr.write(`peregrine: ${text}\n`);
}

/** What went wrong, in one line. */
export function sayError({ code, message }: { readonly code: string; readonly message: string }): void {
  say(`${code}: ${message}`);
}
