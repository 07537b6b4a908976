import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";
import fs from "node:fs";
import net from "node:net";
import { parseFdAddress } from "./address.ts";
import type { FdAddress } from "./address.ts";
import type { Channel, ChannelOptions, Transport } from "./channel.ts";
import { DescriptorFile } from "./descriptor-file.ts";
import { systemError } from "./errno.ts";
import { FileInputChannel } from "./file-input.ts";
import { FileOutputChannel } from "./file-output.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { SingleListener } from "./single-listener.ts";
import { requireWanted } from "./socket-connect.ts";
import { SocketChannel } from "./socket-channel.ts";
import type { SocketDirection } from "./socket-channel.ts";

/** The bits of a descriptor's flags that say what it is open for. */
const ACCESS_MODE = 3;

type DescriptorKind = "socket" | "pipe" | "file";

/**
 * `fd:NUMBER`: a descriptor that this process was started with or was handed: a connected stream socket, one end of a
 * pipe, or a regular file from where it stands. It is this transport's from the first call on, and closed with the
 * channel. Names are made numbers before, by {@link NamedDescriptors}.
 */
export const fd: Transport = {
  parse: parseFdAddress,

  async connect(rest, { signal, ...options }) {
    const { descriptor } = parseFdAddress(rest);
    if (typeof descriptor === "string") throw unknownName(descriptor);
    if (signal?.aborted === true) fs.closeSync(descriptor);
    requireWanted(signal, describe(descriptor));
    return openDescriptor(descriptor, "out", options, "CONNECT_FAILED");
  },

  async listen(rest, options) {
    const address = parseFdAddress(rest);
    return new SingleListener(address, openDescriptor(numberOf(address), "in", options, "LISTEN_FAILED"));
  },
};

/** Errors: CONNECT_FAILED in QEMU's words. */
export function unknownName(name: string): MigrationError {
  return new MigrationError("CONNECT_FAILED", `File descriptor named '${name}' has not been found`);
}

function numberOf({ descriptor }: FdAddress): number {
  if (typeof descriptor === "number") return descriptor;
  throw new MigrationError("BAD_ADDRESS", `Invalid file descriptor number '${descriptor}'`);
}

/**
 * What kind of descriptor it is. `direction` is where the bytes are to go.
 * Errors: `code` when it is not open, of another kind, or open for the other direction only.
 */
export function usableDescriptor(
  descriptor: number,
  direction: "in" | "out",
  code: ErrorCode,
): DescriptorKind {
  try {
    const stats = fs.fstatSync(descriptor);
    if (stats.isSocket()) return "socket";
    if (!stats.isFIFO() && !stats.isFile()) {
      throw new Error("it is neither a socket, nor a pipe, nor a regular file");
    }
    const useless = direction === "out" ? fs.constants.O_RDONLY : fs.constants.O_WRONLY;
    if ((openState(descriptor).flags & ACCESS_MODE) === useless) {
      throw new Error(`it is not open for ${direction === "out" ? "writing" : "reading"}`);
    }
    return stats.isFIFO() ? "pipe" : "file";
  } catch (error) {
    throw cannotBeUsed(descriptor, code, error);
  }
}

/** @param direction of what has only one. */
function openDescriptor(
  descriptor: number,
  direction: "in" | "out",
  options: ChannelOptions,
  code: ErrorCode,
): Channel {
  const kind = usableDescriptor(descriptor, direction, code);
  try {
    if (kind !== "file") return socketChannel(descriptor, kind === "pipe" ? direction : "both", options);
    const handle = new DescriptorFile(descriptor);
    const path = describe(descriptor);
    const { position } = openState(descriptor);
    if (direction === "in") return new FileInputChannel(handle, path, position);
    return new FileOutputChannel({ handle, path, offset: position, before: { kind: "foreign" } });
  } catch (error) {
    // A socket that is not of a stream, for example.
    throw cannotBeUsed(descriptor, code, error);
  }
}

function socketChannel(descriptor: number, direction: SocketDirection, options: ChannelOptions): Channel {
  const reads = options.readBuffer === undefined ? undefined : new ReadBuffer(options.readBuffer);
  const socket = new net.Socket({
    fd: descriptor,
    readable: direction !== "out",
    writable: direction !== "in",
    allowHalfOpen: true,
    ...(reads === undefined ? {} : { onread: reads.onread }),
  });
  return new SocketChannel(socket, describe(descriptor), options, direction, reads);
}

/** Where a descriptor stands in its file, and the flags that it was opened with. */
function openState(descriptor: number): { position: number; flags: number } {
  const info = fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8");
  return {
    position: Number(/^pos:\s*(\d+)$/mu.exec(info)?.[1]),
    flags: Number.parseInt(/^flags:\s*([0-7]+)$/mu.exec(info)?.[1] ?? "", 8),
  };
}

function cannotBeUsed(descriptor: number, code: ErrorCode, cause: unknown): MigrationError {
  return systemError(code, `The ${describe(descriptor)} cannot be used`, cause);
}

function describe(descriptor: number): string {
  return `file descriptor ${descriptor}`;
}
