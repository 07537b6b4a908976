/** The lines of a text; an unfinished last line counts. */
export const lines = (text: string): string[] => {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  return all;
};

/** Where two outputs differ first, in a sentence; undefined when they are the same to the byte. */
export function difference(expected: Buffer, actual: Buffer): string | undefined {
  if (expected.equals(actual)) return undefined;
  const [want, got] = [lines(expected.toString("latin1")), lines(actual.toString("latin1"))];
  const at = want.findIndex((line, index) => line !== got[index]);
  if (at < 0) {
    return `the moved run printed ${actual.length} bytes, the undisturbed run ${expected.length}`;
  }
  return `line ${at + 1} is ${quote(got[at])} in the moved run and ${quote(want[at])} in the undisturbed run`;
}

/** The name of the first file that differs between two sets; undefined when they are the same to the byte. */
export function differentFile(
  expected: ReadonlyMap<string, Buffer>,
  actual: ReadonlyMap<string, Buffer>,
): string | undefined {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].find((name) => {
    const [want, got] = [expected.get(name), actual.get(name)];
    return want === undefined || got === undefined || !want.equals(got);
  });
}

const quote = (line: string | undefined): string => (line === undefined ? "missing" : JSON.stringify(line));
