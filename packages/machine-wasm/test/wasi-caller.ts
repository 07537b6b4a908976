import { ERRNO_NAMES } from "../src/wasi/errno.ts";
import type { ErrnoName } from "../src/wasi/errno.ts";
import { HostError } from "../src/wasi/errno.ts";
import type { GuestControl, HostClock, HostConsole, HostFiles, HostRandom } from "../src/wasi/host.ts";
import type { HeldFiles, ResolvePreopen } from "../src/wasi/reopen.ts";
import type { WasiConfig, WasiState } from "../src/wasi/state.ts";
import { WasiHost } from "../src/wasi/wasi-host.ts";

/** Thrown by {@link FakeControl.unwind}, as the guest thread throws its exception. */
export class Unwound extends Error {}

export class FakeConsole implements HostConsole {
  readonly output: Record<1 | 2, number[]> = { 1: [], 2: [] };
  /** Bytes that the descriptors still take. */
  room = Number.POSITIVE_INFINITY;
  terminal = false;
  broken = false;
  ended = false;
  #input: number[] = [];

  type(text: string): void {
    this.#input.push(...new TextEncoder().encode(text));
  }

  text(stream: 1 | 2): string {
    return new TextDecoder().decode(Uint8Array.from(this.output[stream]));
  }

  write(stream: 1 | 2, bytes: Uint8Array): number {
    if (this.broken) throw new HostError("EPIPE");
    const count = Math.min(this.room, bytes.length);
    this.room -= count;
    for (const byte of bytes.subarray(0, count)) this.output[stream].push(byte);
    return count;
  }

  read(target: Uint8Array): number | undefined {
    if (this.#input.length === 0 && this.ended) return undefined;
    const bytes = this.#input.splice(0, target.length);
    target.set(bytes);
    return bytes.length;
  }

  readable(): number | "end" {
    return this.#input.length === 0 && this.ended ? "end" : this.#input.length;
  }

  isTerminal(): boolean {
    return this.terminal;
  }
}

/** A clock that only moves when it is told to. */
export class FakeClock implements HostClock {
  realtime: bigint;
  monotonic: bigint;

  constructor(monotonic = 1_000_000_000n, realtime = 1_700_000_000_000_000_000n) {
    this.monotonic = monotonic;
    this.realtime = realtime;
  }

  advance(ns: bigint): void {
    this.monotonic += ns;
    this.realtime += ns;
  }

  realtimeNs(): bigint {
    return this.realtime;
  }

  monotonicNs(): bigint {
    return this.monotonic;
  }

  resolutionNs(id: string): bigint {
    return id === "realtime" ? 1000n : 1n;
  }
}

export class FakeControl implements GuestControl {
  asked = false;
  readonly waits: (bigint | undefined)[] = [];
  readonly dirty: { address: number; length: number }[] = [];
  /** What happens while the guest waits. Without it, a wait is an error: it would last for ever. */
  onWait: ((deadlineNs: bigint | undefined) => void) | undefined;

  interrupted(): boolean {
    return this.asked;
  }

  wait(deadlineNs: bigint | undefined): void {
    this.waits.push(deadlineNs);
    if (this.onWait === undefined) throw new Error("the guest waits for ever");
    this.onWait(deadlineNs);
  }

  unwind(): never {
    throw new Unwound();
  }

  markDirty(address: number, length: number): void {
    this.dirty.push({ address, length });
  }
}

export class CountingRandom implements HostRandom {
  #next = 1;

  fill(bytes: Uint8Array): void {
    if (bytes.length > 65536) throw new RangeError("more than a source of random bytes takes");
    for (const index of bytes.keys()) bytes[index] = this.#next++ & 0xff;
  }
}

/** Host files for guests that have none. */
export const NO_FILES: HostFiles = new Proxy({} as HostFiles, {
  get: () => () => {
    throw new HostError("ENOENT");
  },
});

export interface CallerOptions {
  readonly files?: HostFiles;
  readonly config?: Partial<WasiConfig>;
  readonly restored?: WasiState;
  readonly held?: HeldFiles;
  readonly resolvePreopen?: ResolvePreopen;
  readonly clock?: FakeClock;
  readonly pages?: number;
}

const WASM_PAGE = 65536;

/** Calls host functions as a guest does, over a memory of its own, and checks the dirty marks of every call. */
export class WasiCaller {
  readonly memory: { buffer: SharedArrayBuffer };
  readonly console = new FakeConsole();
  readonly control = new FakeControl();
  readonly clock: FakeClock;
  readonly host: WasiHost;
  #free = 1024;

  constructor(options: CallerOptions = {}) {
    this.clock = options.clock ?? new FakeClock();
    this.memory = { buffer: new SharedArrayBuffer((options.pages ?? 2) * WASM_PAGE) };
    const dependencies = {
      memory: this.memory,
      files: options.files ?? NO_FILES,
      clock: this.clock,
      random: new CountingRandom(),
      console: this.console,
      control: this.control,
    };
    this.host =
      options.restored === undefined
        ? new WasiHost({
            ...dependencies,
            config: { args: ["guest"], env: [], preopens: [], ...options.config },
          })
        : new WasiHost({
            ...dependencies,
            restored: options.restored,
            held: options.held,
            resolvePreopen: options.resolvePreopen,
          });
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }

  /** The error's name, "SUCCESS" without one. Every byte that changed must have been marked. */
  call(name: string, ...args: (number | bigint)[]): ErrnoName {
    const before = this.bytes.slice();
    this.control.dirty.length = 0;
    const result = this.host.imports[name]?.(...args);
    const marked = new Uint8Array(before.length);
    for (const { address, length } of this.control.dirty) marked.fill(1, address, address + length);
    const after = this.bytes;
    for (let at = 0; at < before.length; at++) {
      if (before[at] !== after[at] && marked[at] === 0) throw new Error(`${name} wrote ${at} without a mark`);
    }
    const errno = result === undefined ? undefined : ERRNO_NAMES[result];
    if (errno === undefined) throw new Error(`${name} returned ${result}`);
    return errno;
  }

  /** Calls and throws unless it succeeds. */
  ok(name: string, ...args: (number | bigint)[]): void {
    const errno = this.call(name, ...args);
    if (errno !== "SUCCESS") throw new Error(`${name} failed with ${errno}`);
  }

  /** Reserves guest memory, with zeros in it. */
  alloc(length: number): number {
    const address = this.#free;
    this.#free = (this.#free + length + 7) & ~7;
    if (this.#free > this.bytes.length) throw new Error("the caller's memory is full");
    return address;
  }

  /** Frees everything that was reserved. */
  reset(): void {
    this.bytes.fill(0);
    this.#free = 1024;
  }

  put(bytes: Uint8Array | string): [address: number, length: number] {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const address = this.alloc(data.length);
    this.bytes.set(data, address);
    return [address, data.length];
  }

  /** Writes an array of iovecs over these buffers. */
  iovecs(...buffers: [address: number, length: number][]): [address: number, count: number] {
    const at = this.alloc(buffers.length * 8);
    for (const [index, [address, length]] of buffers.entries()) {
      this.view.setUint32(at + index * 8, address, true);
      this.view.setUint32(at + index * 8 + 4, length, true);
    }
    return [at, buffers.length];
  }

  u32(address: number): number {
    return this.view.getUint32(address, true);
  }

  u64(address: number): bigint {
    return this.view.getBigUint64(address, true);
  }

  text(address: number, length: number): string {
    return new TextDecoder().decode(this.bytes.slice(address, address + length));
  }

  /** `fd_write`: the error's name, or how many bytes. */
  write(fd: number, bytes: Uint8Array | string): ErrnoName | number {
    const written = this.alloc(4);
    const errno = this.call("fd_write", fd, ...this.iovecs(this.put(bytes)), written);
    return errno === "SUCCESS" ? this.u32(written) : errno;
  }

  /** `fd_read`: the error's name, or what was read. */
  read(fd: number, length: number): string {
    const buffer = this.alloc(length);
    const count = this.alloc(4);
    const errno = this.call("fd_read", fd, ...this.iovecs([buffer, length]), count);
    return errno === "SUCCESS" ? this.text(buffer, this.u32(count)) : errno;
  }

  /** `path_open`: the error's name, or the descriptor. */
  open(
    directory: number,
    path: string,
    options: {
      oflags?: number;
      rights?: bigint;
      inheriting?: bigint;
      fdflags?: number;
      follow?: boolean;
    } = {},
  ): ErrnoName | number {
    const opened = this.alloc(4);
    const { oflags = 0, rights = READ_WRITE, inheriting = 0n, fdflags = 0, follow = true } = options;
    const errno = this.call(
      "path_open", directory, follow ? 1 : 0, ...this.put(path), oflags, rights, inheriting, fdflags, opened,
    ); // prettier-ignore
    return errno === "SUCCESS" ? this.u32(opened) : errno;
  }

  /** As {@link open}, for a file that has to be there. */
  mustOpen(directory: number, path: string, options: Parameters<WasiCaller["open"]>[2] = {}): number {
    const fd = this.open(directory, path, options);
    if (typeof fd === "string") throw new Error(`${path}: ${fd}`);
    return fd;
  }

  /** Calls a function whose only paths are `directory, path`. */
  path(name: string, directory: number, path: string): ErrnoName {
    return this.call(name, directory, ...this.put(path));
  }
}

/** What wasi-libc asks for with O_RDWR, as far as files have it. */
export const READ_WRITE = 0x8e001ffn;
export const READ_ONLY = 0x8a000bfn & ~0x40n;
export const OFLAGS = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const FDFLAGS = { append: 1, nonblock: 4 } as const;
