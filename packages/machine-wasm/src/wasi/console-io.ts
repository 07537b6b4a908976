import type { WasiContext } from "./context.ts";
import { FdFlag } from "./abi.ts";
import type { OpenConsole } from "./descriptors.ts";
import { HostError } from "./errno.ts";
import type { GuestBuffers } from "./guest-memory.ts";

const CHUNK = 65536;

/** How long to wait before a full output descriptor is tried again: nothing tells when it drains. */
const RETRY_NS = 2_000_000n;

/**
 * Writes to standard output or error. Waits while the descriptor is full. When the guest is asked to
 * unwind meanwhile: with nothing written yet it unwinds, otherwise it returns a short count, so that
 * no byte is written twice.
 */
export function writeConsole(context: WasiContext, target: OpenConsole, buffers: GuestBuffers): number {
  const { console, control, memory } = context;
  if (target.stream === 0) throw new HostError("EBADF");
  let written = 0;
  while (written < buffers.total) {
    const chunk = memory.gather(buffers, written, CHUNK);
    let length: number;
    try {
      length = console.write(target.stream, chunk);
    } catch (error) {
      // What was written counts; the error comes again with the next write.
      if (written > 0) return written;
      throw error;
    }
    written += length;
    if (length > 0) continue;
    if ((target.flags & FdFlag.nonblock) !== 0) {
      if (written > 0) return written;
      throw new HostError("EAGAIN");
    }
    if (control.interrupted()) {
      if (written > 0) return written;
      control.unwind();
    }
    control.wait(context.clock.toHost(context.clock.monotonicNs()) + RETRY_NS);
  }
  return written;
}

/** Reads from standard input: waits for at least one byte, returns 0 at the end of input. */
export function readConsole(context: WasiContext, source: OpenConsole, buffers: GuestBuffers): number {
  const { control, input, memory } = context;
  if (source.stream !== 0) throw new HostError("EBADF");
  if (buffers.total === 0) return 0;
  const bytes = new Uint8Array(Math.min(CHUNK, buffers.total));
  for (;;) {
    const length = input.read(bytes);
    if (length === undefined) return 0;
    if (length > 0) {
      memory.scatter(buffers, bytes.subarray(0, length));
      return length;
    }
    if ((source.flags & FdFlag.nonblock) !== 0) throw new HostError("EAGAIN");
    if (control.interrupted()) control.unwind();
    control.wait(undefined);
  }
}
