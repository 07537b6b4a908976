import { loadCalls } from "./load-calls.ts";
import type { Libc } from "./load-calls.ts";

/** What the kernel knows about the other end of a TCP connection. */
export interface LinkState {
  /** Milliseconds since anything was acknowledged, or anything has come. */
  readonly quiet: number;
  /** Whether something was sent that the other end's kernel has to answer: data, or a probe. */
  readonly expectsAnswer: boolean;
}

/** What Node has no calls for: how soon a dead link is noticed, and how much a socket takes. */
export interface SocketCalls {
  /** Undefined for what is no connection of TCP. */
  linkState(descriptor: number): LinkState | undefined;
  /** Whole seconds. Does nothing for what is no connection of TCP. */
  setKeepalive(descriptor: number, probes: { idle: number; interval: number; count: number }): void;
  /** The most that the kernel waits until it sends again, or looks again whether there is room. Linux 6.15 and later. */
  setLongestWait(descriptor: number, milliseconds: number): void;
  /** Bytes; the kernel counts its own needs besides. No more than the host allows. */
  setSendBuffer(descriptor: number, bytes: number): void;
}

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;

const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
const TCP_RTO_MAX_MS = 44;

/** `struct tcp_info`, as far as every kernel has it. Integers are the host's, and both architectures are little-endian. */
const INFO_BYTES = 104;
const INFO = { probes: 3, unacked: 24, lastDataReceived: 52, lastAckReceived: 56 } as const;

let loading: Promise<SocketCalls | undefined> | undefined;

/** Undefined where they cannot be called: on another system, or without koffi. */
export function loadSocketCalls(): Promise<SocketCalls | undefined> {
  loading ??= loadCalls(socketCalls);
  return loading;
}

function socketCalls(libc: Libc): SocketCalls {
  const getOption = libc.func("int getsockopt(int socket, int level, int name, void *value, void *length)");
  const setOption = libc.func("int setsockopt(int socket, int level, int name, void *value, uint length)");
  const info = Buffer.alloc(INFO_BYTES);
  const length = Buffer.alloc(4);
  const value = Buffer.alloc(4);
  const set = (descriptor: number, name: number, number: number, level = IPPROTO_TCP): void => {
    value.writeInt32LE(number);
    setOption(descriptor, level, name, value, value.length);
  };
  return {
    linkState(descriptor) {
      length.writeUInt32LE(INFO_BYTES);
      if ((getOption(descriptor, IPPROTO_TCP, TCP_INFO, info, length) as number) < 0) return undefined;
      const acknowledged = info.readUInt32LE(INFO.lastAckReceived);
      return {
        quiet: Math.min(acknowledged, info.readUInt32LE(INFO.lastDataReceived)),
        expectsAnswer: info.readUInt32LE(INFO.unacked) > 0 || info.readUInt8(INFO.probes) > 0,
      };
    },
    setKeepalive(descriptor, { idle, interval, count }) {
      set(descriptor, TCP_KEEPIDLE, idle);
      set(descriptor, TCP_KEEPINTVL, interval);
      set(descriptor, TCP_KEEPCNT, count);
    },
    setLongestWait: (descriptor, milliseconds) => set(descriptor, TCP_RTO_MAX_MS, milliseconds),
    setSendBuffer: (descriptor, bytes) => set(descriptor, SO_SNDBUF, bytes, SOL_SOCKET),
  };
}
