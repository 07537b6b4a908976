import { PLACE_BYTES } from "@peregrine/protocol";
import type Koffi from "koffi";
import type { GatherList } from "../gather-list.ts";
import { errorOfCall } from "./error-of-call.ts";
import { loadCalls } from "./load-calls.ts";
import type { Libc } from "./load-calls.ts";

/** What Node has no calls for: writing from places of memory, and reading to such, that no buffer of Node's covers together. */
export interface VectorCalls {
  /** Where memory begins, as the kernel knows it. Valid for as long as the memory is not moved. */
  addressOf(memory: Uint8Array): number;
  /**
   * Writes what a socket takes, and takes it away from the list.
   * @param patience how long the thread may wait for room, milliseconds in all.
   * Errors: what the system says, with its `code`.
   */
  write(socket: number, list: GatherList, patience: number): void;
  /**
   * Reads what has come at a socket, or comes soon.
   * @param vector entries of PLACE_BYTES each; more than the system takes at once are left out.
   * @param patience how long the thread may wait for the first byte, milliseconds.
   * @returns bytes; 0 when none have come, and behind the last.
   * Errors: as those of `write`.
   */
  read(socket: number, vector: Uint8Array, patience: number): number;
  /**
   * Copies what is first in the list, as far as there is room and the place goes. The list stays as it is.
   * @returns the bytes.
   */
  copyFirst(list: GatherList, into: Buffer): Buffer;
}

/** Places that the kernel takes at once: `UIO_MAXIOV`. */
const MOST_PLACES = 1024;

/** Of an entry of `poll`, and of what it asks for: whether something can be read, or written. */
const POLL_WORDS = 2;
const POLLIN = 1;
const POLLOUT = 4;

let loading: Promise<VectorCalls | undefined> | undefined;

/** Undefined where they cannot be called: on another system, or without koffi. */
export function loadVectorCalls(): Promise<VectorCalls | undefined> {
  loading ??= loadCalls(vectorCalls);
  return loading;
}

function vectorCalls(libc: Libc, koffi: typeof Koffi): VectorCalls {
  const writev = libc.func("long writev(int descriptor, void *places, int count)");
  const readv = libc.func("long readv(int descriptor, void *places, int count)");
  const poll = libc.func("int poll(void *entries, unsigned long count, int milliseconds)");
  const { EAGAIN, EINTR } = koffi.os.errno;
  const entry = new Int32Array(POLL_WORDS);
  const isReady = (socket: number, wanted: number, until: number): boolean => {
    entry[0] = socket;
    entry[1] = wanted;
    for (;;) {
      const within = Math.ceil(until - performance.now());
      if (within <= 0) return false;
      const ready = poll(entry, 1, within) as number;
      // So is a socket that has failed: the next call says how.
      if (ready >= 0 || koffi.errno() !== EINTR) return ready > 0;
    }
  };
  const memcpy = libc.func("size_t memcpy(void *to, uint64_t from, size_t length)");
  return {
    addressOf: (memory) => Number(koffi.address(memory)),
    write(socket, list, patience) {
      const until = performance.now() + patience;
      while (list.places > 0) {
        const before = list.places;
        const wanted = Math.min(before, MOST_PLACES);
        const length = writev(socket, list.vector, wanted) as number;
        if (length < 0) {
          const error = koffi.errno();
          if (error === EINTR) continue;
          if (error !== EAGAIN) throw errorOfCall(koffi, "writev");
        } else {
          list.advance(length);
        }
        const isFull = before - list.places < wanted;
        if (isFull && !isReady(socket, POLLOUT, until)) return;
      }
    },
    read(socket, vector, patience) {
      const places = Math.min(vector.length / PLACE_BYTES, MOST_PLACES);
      for (let until = performance.now() + patience; ;) {
        const length = readv(socket, vector, places) as number;
        if (length >= 0) return length;
        const error = koffi.errno();
        if (error === EINTR) continue;
        if (error !== EAGAIN) throw errorOfCall(koffi, "readv");
        if (!isReady(socket, POLLIN, until)) return 0;
        until = 0;
      }
    },
    copyFirst(list, into) {
      const { address, length } = list.first;
      const bytes = into.subarray(0, Math.min(length, into.length));
      memcpy(bytes, address, bytes.length);
      return bytes;
    },
  };
}
