/** What has to be undone also when the harness itself breaks down or is ended. */
const undo = new Set<() => void>();

process.once("exit", () => {
  for (const each of undo) each();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** @returns a function that does it now. */
export function atExit(step: () => void): () => void {
  undo.add(step);
  return () => {
    if (undo.delete(step)) step();
  };
}
