import type { Scattering } from "./channel.ts";
import { descriptorOf } from "./descriptors/descriptor-of.ts";
import { loadVectorCalls } from "./descriptors/vector-calls.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import type { ByteSocket } from "./socket-channel.ts";

/**
 * Undefined for what is no socket of the system, and without the calls.
 * @param reads where the socket's chunks go, so that none waits in the socket.
 * @param count told of all bytes that are read.
 */
export async function openScattering(
  socket: ByteSocket,
  reads: ReadBuffer,
  count: (bytes: number) => void,
): Promise<Scattering | undefined> {
  const calls = await loadVectorCalls();
  if (calls === undefined || descriptorOf(socket) === undefined) return undefined;
  return {
    addressOf: (memory) => calls.addressOf(memory),
    read(vector, patience) {
      // Asked for each time: the descriptor of a socket that was closed meanwhile may be somebody else's.
      const descriptor = descriptorOf(socket);
      if (descriptor === undefined) return 0;
      try {
        const bytes = calls.read(descriptor, vector, patience);
        count(bytes);
        return bytes;
      } catch (error) {
        // As when a read of Node's has failed. The system says it only once.
        socket.destroy(error as Error);
        return 0;
      }
    },
    boundNext: (bytes) => reads.boundNext(bytes),
  };
}
