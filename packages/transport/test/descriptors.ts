import koffi from "koffi";

const libc = koffi.load(null);
const pipe2 = libc.func("int pipe2(int *ends, int flags)") as (ends: Int32Array, flags: number) => number;
const socketpair = libc.func("int socketpair(int domain, int type, int protocol, int *ends)") as (
  domain: number,
  type: number,
  protocol: number,
  ends: Int32Array,
) => number;

const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;

/** The two ends of a new pipe, as descriptors. */
export function pipe(): [read: number, write: number] {
  const ends = new Int32Array(2);
  if (pipe2(ends, O_CLOEXEC) !== 0) throw new Error("pipe2 failed");
  return [ends[0]!, ends[1]!];
}

/** Two connected sockets, as descriptors. */
export function socketPair(type: number = SOCK_STREAM): [number, number] {
  const ends = new Int32Array(2);
  if (socketpair(AF_UNIX, type | O_CLOEXEC, 0, ends) !== 0) throw new Error("socketpair failed");
  return [ends[0]!, ends[1]!];
}

const sendmsg = libc.func("long sendmsg(int socket, void *message, int flags)") as (
  socket: number,
  message: Buffer,
  flags: number,
) => number;

/** Sends bytes with descriptors over a unix socket. */
export function sendDescriptors(socket: number, bytes: Uint8Array, descriptors: readonly number[]): void {
  const controlBytes = Math.ceil((16 + 4 * descriptors.length) / 8) * 8;
  // One piece of memory, so that nothing that is pointed to goes away.
  const [vectorAt, controlAt, chunkAt] = [56, 72, 72 + controlBytes];
  const message = Buffer.alloc(chunkAt + bytes.length);
  const address = koffi.address(message);
  message.writeBigUInt64LE(address + BigInt(vectorAt), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(address + BigInt(controlAt), 32);
  message.writeBigUInt64LE(BigInt(controlBytes), 40);
  message.writeBigUInt64LE(address + BigInt(chunkAt), vectorAt);
  message.writeBigUInt64LE(BigInt(bytes.length), vectorAt + 8);
  message.writeBigUInt64LE(BigInt(16 + 4 * descriptors.length), controlAt);
  message.writeInt32LE(1, controlAt + 8);
  message.writeInt32LE(1, controlAt + 12);
  for (const [index, descriptor] of descriptors.entries()) {
    message.writeInt32LE(descriptor, controlAt + 16 + 4 * index);
  }
  message.set(bytes, chunkAt);
  if (sendmsg(socket, message, 0) !== bytes.length) throw new Error("sendmsg failed");
}

const bind = libc.func("int bind(int socket, void *address, uint length)") as (
  socket: number,
  address: Buffer,
  length: number,
) => number;
const openSocket = libc.func("int socket(int domain, int type, int protocol)") as (
  domain: number,
  type: number,
  protocol: number,
) => number;

/** A socket that takes the datagrams sent to `path`, as a descriptor. */
export function boundDatagramSocket(path: string): number {
  const socket = openSocket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0);
  const address = Buffer.from(`\0\0${path}\0`);
  address.writeUInt16LE(AF_UNIX);
  if (bind(socket, address, address.length) !== 0) throw new Error("bind failed");
  return socket;
}
