import type { ConsoleStream } from "./host.ts";

/** A directory that the guest was given, and where it is on the host. */
export interface Preopen {
  readonly guestPath: string;
  readonly hostPath: string;
}

/** What a fresh guest starts with. */
export interface WasiConfig {
  /** The program's name first. */
  readonly args: readonly string[];
  /** `KEY=VALUE` each. */
  readonly env: readonly string[];
  readonly preopens: readonly Preopen[];
}

interface DescriptorBase {
  readonly fd: number;
  /** Bits of preview1 `rights`. */
  readonly rights: number;
  readonly inheritingRights: number;
  /** Flags of `fd_fdstat_get` (`fdflags`). */
  readonly flags: number;
}

/** Where an open file or directory is: `path` from the directory `preopens[root]`, `""` for that directory itself. */
interface DescriptorPlace {
  readonly root: number;
  readonly path: string;
  /** The name was deleted, or means another file, while it was open at the source. */
  readonly gone: boolean;
}

/** A descriptor of the guest that is its standard input, output or error. */
export interface ConsoleDescriptorState extends DescriptorBase {
  readonly kind: "console";
  readonly stream: ConsoleStream;
}

/** A descriptor of the guest that is a directory. */
export interface DirectoryDescriptorState extends DescriptorBase, DescriptorPlace {
  readonly kind: "directory";
  /** True when `fd_prestat_get` reports it. */
  readonly preopened: boolean;
}

/** A descriptor of the guest that is a file, with the byte at which it stands. */
export interface FileDescriptorState extends DescriptorBase, DescriptorPlace {
  readonly kind: "file";
  readonly read: boolean;
  readonly write: boolean;
  readonly position: bigint;
  /** Bytes in the file when the state was captured. */
  readonly size: bigint;
}

/** An open descriptor of the guest, as it travels. */
export type DescriptorState = ConsoleDescriptorState | DirectoryDescriptorState | FileDescriptorState;

/** All state of the WASI layer between two host calls, as plain data. */
export interface WasiState {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly preopens: readonly Preopen[];
  readonly descriptors: readonly DescriptorState[];
  /** The guest's monotonic clock. */
  readonly monotonicNs: bigint;
  /** The guest's monotonic time when the `poll_oneoff` that was unwound began, if one was. */
  readonly pollStartedNs: bigint | undefined;
  /** Console input that the guest has not read yet. */
  readonly consoleInput: Uint8Array;
  /** No input follows `consoleInput`. */
  readonly consoleInputEnded: boolean;
  /** Set once the guest has called `proc_exit`. */
  readonly exitStatus: number | undefined;
}

/** Most that a state may hold; checked when a peer's state is read and when the guest makes more. */
export const WASI_LIMITS = {
  /** Arguments, and environment entries, each. */
  strings: 4096,
  /** UTF-8 bytes in one argument, environment entry or host path. */
  stringBytes: 128 * 1024,
  /** UTF-8 bytes in all arguments and environment entries together. */
  allStringBytes: 1024 * 1024,
  preopens: 256,
  descriptors: 4096,
  /** UTF-8 bytes in a path of an open file. */
  pathBytes: 4096,
  consoleInputBytes: 256 * 1024,
} as const;
