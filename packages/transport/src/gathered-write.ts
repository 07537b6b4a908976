import { descriptorOf } from "./descriptors/descriptor-of.ts";
import type { Gathering } from "./channel.ts";
import { loadVectorCalls } from "./descriptors/vector-calls.ts";
import type { VectorCalls } from "./descriptors/vector-calls.ts";
import type { GatherList } from "./gather-list.ts";
import type { ByteSocket } from "./socket-channel.ts";

/** Most that Node is given of a place, of which it says when the kernel has taken it. */
const HANDED_BYTES = 4096;

/**
 * How long the thread may wait for room and do nothing else, milliseconds. A peer that keeps up makes some in much less; a turn
 * of the event loop each time would take longer.
 */
const PATIENCE_MS = 5;

/** Begins a write, which calls back when the kernel has all of the bytes, or with why it has not. */
export type StartWrite = (done: (error?: Error | null) => void) => void;

/**
 * Undefined for what is no socket of the system, and without the calls.
 * @param write does what all writes have in common; no other one is pending.
 */
export async function openGathering(
  socket: ByteSocket,
  write: (length: number, start: StartWrite) => Promise<void>,
): Promise<Gathering | undefined> {
  const calls = await loadVectorCalls();
  if (calls === undefined || descriptorOf(socket) === undefined) return undefined;
  return {
    addressOf: (memory) => calls.addressOf(memory),
    write: (list) => write(list.length, (done) => writeGathered(socket, list, calls, done)),
  };
}

/**
 * Writes from several places as much as the kernel takes. When it takes no more for a while, a little of what follows is written
 * by Node, which waits until there is room again, and finds out when there will be none.
 * @param done called once, with the error if it has failed; the socket is destroyed then, as by a write of Node's.
 */
function writeGathered(
  socket: ByteSocket,
  list: GatherList,
  calls: VectorCalls,
  done: Parameters<StartWrite>[0],
): void {
  let handed: Buffer | undefined;
  const next = (): void => {
    try {
      // Asked for each time: the descriptor of a socket that was closed meanwhile may be somebody else's.
      const descriptor = descriptorOf(socket);
      if (descriptor !== undefined) calls.write(descriptor, list, PATIENCE_MS);
    } catch (failure) {
      const cause = failure as Error;
      done(cause);
      socket.destroy(cause);
      return;
    }
    if (list.length === 0) {
      done();
      return;
    }
    const bytes = calls.copyFirst(list, (handed ??= Buffer.allocUnsafe(HANDED_BYTES)));
    list.advance(bytes.length);
    socket.write(bytes, afterTurn);
  };
  // A slow peer makes just enough room for what Node is given, each time: the thread would never do anything but wait for it.
  const afterTurn = (error?: Error | null): void => {
    if (error) done(error);
    else setImmediate(next);
  };
  next();
}
