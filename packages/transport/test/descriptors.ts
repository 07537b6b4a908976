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
