import type { HostCalls, WasiContext } from "../context.ts";
import { HostError } from "../errno.ts";
import { GuestExitSignal } from "../host.ts";

/** Most bytes asked of the random source at once. */
const RANDOM_CHUNK = 65536;

/** Highest signal number of preview1 (SIGSYS). */
const LAST_SIGNAL = 30;

/** Arguments, environment, clocks, random numbers, and the end of the program. */
export function processCalls(context: WasiContext): HostCalls {
  const { memory, clock } = context;

  const writeSizes = (strings: readonly Uint8Array[], countAt: number, bytesAt: number): void => {
    memory.check(countAt, 4);
    memory.check(bytesAt, 4);
    memory.writeU32(countAt, strings.length);
    memory.writeU32(bytesAt, byteLength(strings));
  };

  const writeStrings = (strings: readonly Uint8Array[], pointersAt: number, bytesAt: number): void => {
    memory.check(pointersAt, strings.length * 4);
    memory.check(bytesAt, byteLength(strings));
    let at = bytesAt;
    for (const [index, text] of strings.entries()) {
      memory.writeU32(pointersAt + index * 4, at);
      memory.write(at, text);
      memory.writeU8(at + text.length, 0);
      at += text.length + 1;
    }
  };

  return {
    args_sizes_get(countAt: number, bytesAt: number) {
      writeSizes(context.args, countAt, bytesAt);
    },
    args_get(pointersAt: number, bytesAt: number) {
      writeStrings(context.args, pointersAt, bytesAt);
    },
    environ_sizes_get(countAt: number, bytesAt: number) {
      writeSizes(context.env, countAt, bytesAt);
    },
    environ_get(pointersAt: number, bytesAt: number) {
      writeStrings(context.env, pointersAt, bytesAt);
    },
    clock_res_get(id: number, resolutionAt: number) {
      memory.writeU64(resolutionAt, clock.resolutionNs(id));
    },
    clock_time_get(id: number, _precision: bigint, timeAt: number) {
      memory.writeU64(timeAt, clock.now(id));
    },
    random_get(address: number, length: number) {
      memory.check(address, length);
      for (let at = 0; at < length; at += RANDOM_CHUNK) {
        const bytes = new Uint8Array(Math.min(RANDOM_CHUNK, length - at));
        // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- no array is filled here
        context.random.fill(bytes);
        memory.write(address + at, bytes);
      }
    },
    sched_yield() {
      // The guest has the only thread there is.
    },
    proc_exit(status: number) {
      context.exitStatus = status;
      throw new GuestExitSignal(status);
    },
    proc_raise(signal: number) {
      // No signal handler can exist in the guest, and the host's process is not the guest's to signal.
      throw new HostError(signal > LAST_SIGNAL ? "EINVAL" : "ENOTSUP");
    },
  };
}

/** Bytes of all strings with their final zero bytes. */
function byteLength(strings: readonly Uint8Array[]): number {
  return strings.reduce((sum, text) => sum + text.length + 1, 0);
}
