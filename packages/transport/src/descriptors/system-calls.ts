import type Koffi from "koffi";
import { errorOfCall } from "./error-of-call.ts";
import { loadCalls } from "./load-calls.ts";
import type { Libc } from "./load-calls.ts";

/** The calls of Linux that Node does not have, for 64-bit architectures. */
export interface SystemCalls {
  /**
   * Takes what has come over a socket, without waiting. Errors: what the system says, with its `code`.
   * @returns undefined when nothing has come.
   */
  receive(socket: number): Received | undefined;
  /** A new set of descriptors to be watched. */
  createWatch(): number;
  /**
   * Watches a descriptor until it can be read from, once.
   * @param operation whether it is new in the set.
   * @param id what {@link waitForWatched} says then; less than 2^32.
   */
  watch(set: number, operation: "add" | "again", descriptor: number, id: number): void;
  /** Does nothing when it is not in the set. */
  unwatch(set: number, descriptor: number): void;
  /** Resolves when something of the set can be read. A thread of Node's pool sleeps meanwhile; one call at a time. */
  waitForWatched(set: number): Promise<number[]>;
  /** A descriptor that can be read from as soon as eight bytes were written to it. */
  createEvent(): number;
  /** A socket for datagrams to unix sockets, without a name of its own. */
  openDatagramSocket(): number;
  /** Without waiting: there has to be room at the receiver. Errors: what the system says, with its `code`. */
  sendDatagram(socket: number, path: string, bytes: Uint8Array): void;
}

export interface Received {
  /** None at the end of the stream. They belong to the caller. */
  readonly bytes: Buffer;
  /** Those that came with the bytes, closed when another program is run. They belong to the caller. */
  readonly descriptors: readonly number[];
}

const CHUNK_BYTES = 64 * 1024;

/** Descriptors of one message. The kernel closes those that there is no room for. */
const MAX_DESCRIPTORS = 16;

const CLOSE_ON_EXEC = 0o2000000;

/**
 * `struct msghdr` with all that it points to, in one piece of memory that lives as long as it is used: the message, the
 * one entry of its vector, the control messages, the bytes.
 */
const MESSAGE = { vector: 16, vectorLength: 24, control: 32, controlLength: 40 } as const;
const VECTOR_AT = 56;
const CONTROL_AT = 72;
const CONTROL_BYTES = 16 + 4 * MAX_DESCRIPTORS;
const CHUNK_AT = CONTROL_AT + CONTROL_BYTES;

/** `struct cmsghdr`. */
const CONTROL = { header: 16, level: 8, type: 12 } as const;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** `struct epoll_event` has no padding on x86-64 alone. */
const EVENT = process.arch === "x64" ? { bytes: 12, id: 4 } : { bytes: 16, id: 8 };
const EPOLL_OPERATIONS = { add: 1, remove: 2, again: 3 } as const;
const EPOLLIN = 1;
const EPOLLONESHOT = 2 ** 30;
const MAX_EVENTS = 16;

/** Undefined where they cannot be called: on another system, or without koffi. */
export function loadSystemCalls(): Promise<SystemCalls | undefined> {
  return loadCalls(systemCalls);
}

function systemCalls(libc: Libc, koffi: typeof Koffi): SystemCalls {
  const recvmsg = libc.func("long recvmsg(int socket, void *message, int flags)");
  const epollCreate = libc.func("int epoll_create1(int flags)");
  const epollCtl = libc.func("int epoll_ctl(int set, int operation, int descriptor, void *event)");
  const epollWait = libc.func("int epoll_wait(int set, void *events, int most, int timeout)");
  const eventfd = libc.func("int eventfd(uint initial, int flags)");
  const openSocket = libc.func("int socket(int domain, int type, int protocol)");
  const sendTo = libc.func(
    "long sendto(int socket, void *bytes, size_t length, int flags, void *address, uint addressLength)",
  );

  const checked = (call: string, result: number): number => {
    if (result < 0) throw errorOfCall(koffi, call);
    return result;
  };

  const message = Buffer.alloc(CHUNK_AT + CHUNK_BYTES);
  const address = koffi.address(message);
  message.writeBigUInt64LE(address + BigInt(VECTOR_AT), MESSAGE.vector);
  message.writeBigUInt64LE(1n, MESSAGE.vectorLength);
  message.writeBigUInt64LE(address + BigInt(CONTROL_AT), MESSAGE.control);
  message.writeBigUInt64LE(address + BigInt(CHUNK_AT), VECTOR_AT);
  message.writeBigUInt64LE(BigInt(CHUNK_BYTES), VECTOR_AT + 8);
  const events = Buffer.alloc(MAX_EVENTS * EVENT.bytes);

  return {
    receive(socket) {
      message.writeBigUInt64LE(BigInt(CONTROL_BYTES), MESSAGE.controlLength);
      const length = recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) as number;
      if (length < 0) {
        if (koffi.errno() === koffi.os.errno["EAGAIN"]) return undefined;
        throw errorOfCall(koffi, "recvmsg");
      }
      const used = Number(message.readBigUInt64LE(MESSAGE.controlLength));
      return {
        bytes: Buffer.from(message.subarray(CHUNK_AT, CHUNK_AT + length)),
        descriptors: descriptorsIn(message.subarray(CONTROL_AT, CONTROL_AT + used)),
      };
    },
    createWatch: () => checked("epoll_create1", epollCreate(CLOSE_ON_EXEC) as number),
    watch(set, operation, descriptor, id) {
      const event = Buffer.alloc(EVENT.bytes);
      event.writeUInt32LE(EPOLLIN + EPOLLONESHOT, 0);
      event.writeUInt32LE(id, EVENT.id);
      checked("epoll_ctl", epollCtl(set, EPOLL_OPERATIONS[operation], descriptor, event) as number);
    },
    unwatch(set, descriptor) {
      epollCtl(set, EPOLL_OPERATIONS.remove, descriptor, null);
    },
    waitForWatched: (set) =>
      new Promise((resolve, reject) => {
        epollWait.async(set, events, MAX_EVENTS, -1, (error: Error | null, result: number) => {
          if (error) {
            reject(error);
            return;
          }
          // A signal ends the wait with nothing.
          const ids = Array.from({ length: Math.max(result, 0) }, (_, index) =>
            events.readUInt32LE(index * EVENT.bytes + EVENT.id),
          );
          resolve(ids);
        });
      }),
    createEvent: () => checked("eventfd", eventfd(0, CLOSE_ON_EXEC) as number),
    openDatagramSocket: () => checked("socket", openSocket(AF_UNIX, SOCK_DGRAM + CLOSE_ON_EXEC, 0) as number),
    sendDatagram(socket, path, bytes) {
      const to = unixAddress(path);
      checked("sendto", sendTo(socket, bytes, bytes.length, MSG_DONTWAIT, to, to.length) as number);
    },
  };
}

/** `struct sockaddr_un`. */
function unixAddress(path: string): Buffer {
  const address = Buffer.from(`\0\0${path}\0`);
  address.writeUInt16LE(AF_UNIX);
  return address;
}

/** @param control the control messages as recvmsg has left them. */
function descriptorsIn(control: Buffer): number[] {
  const found: number[] = [];
  for (let start = 0; start + CONTROL.header <= control.length;) {
    const length = Number(control.readBigUInt64LE(start));
    const isRights =
      control.readInt32LE(start + CONTROL.level) === SOL_SOCKET &&
      control.readInt32LE(start + CONTROL.type) === SCM_RIGHTS;
    const end = isRights ? start + length : start;
    for (let at = start + CONTROL.header; at + 4 <= end; at += 4) found.push(control.readInt32LE(at));
    start += Math.max(Math.ceil(length / 8) * 8, CONTROL.header);
  }
  return found;
}
