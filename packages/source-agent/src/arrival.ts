/**
 * Follows a guest that is itself still arriving.
 * @param arrived one Int32, 1 when everything is here; undefined for a guest that was made here.
 * @param wake called at that moment.
 * @returns whether everything is here.
 */
export function watchArrival(arrived: SharedArrayBuffer | undefined, wake: () => void): () => boolean {
  if (arrived === undefined) return () => true;
  const cell = new Int32Array(arrived);
  const wait = Atomics.waitAsync(cell, 0, 0);
  if (wait.async) void wait.value.then(wake);
  return () => Atomics.load(cell, 0) === 1;
}
