import type { PageHeads } from "@peregrine/protocol";
import type { CarriedMachine, MachineIntake } from "./carried-machine.ts";
import type { DeviceRegistry } from "./device-registry.ts";
import type { MachineDrives } from "./drive.ts";
import type { DirtyBitmap } from "./dirty-bitmap.ts";

/** Bytes of one guest page, on the wire and in the dirty bitmap. */
export const PAGE_SIZE = 4096;

/** A named range of guest memory. `length` is the most it can ever hold, in bytes, a multiple of the page size. */
export interface RamBlock {
  readonly name: string;
  readonly length: number;
}

/**
 * Guest memory as one thread sees it. Blocks are named by their index in `blocks`, pages by their
 * index in the block. Nothing here says how the dirty log works: a log written by the guest and a
 * comparison made at a pause both fit.
 */
export interface GuestRam {
  readonly blocks: readonly RamBlock[];
  /**
   * True: at first the dirty log holds every page that has contents, so nothing else has to be sent. Otherwise
   * all memory in use is dirty at first.
   */
  readonly logsAllContents?: boolean;
  /** Bytes of the block in use now; grows, never shrinks; at most the block's `length`. */
  usedBytes(block: number): number;
  /**
   * Takes the dirty log and clears it: sets a bit in `into[block]` for every page written since the
   * last call. A page's mark is taken before the page can be read by `readPages`, never after.
   * No other thread may have pages to read meanwhile.
   * @returns how many bits were set that were clear before.
   */
  harvest(into: readonly DirtyBitmap[]): number;
  /** Copies `count` pages from `page` on into `target` at byte `at`. The guest may be writing: the copy may be torn. */
  readPages(block: number, page: number, count: number, target: Uint8Array, at: number): void;
  /** Writes whole pages at byte `offset`; the block grows if it has to. Errors: BAD_RAM_PAGE outside the block. */
  writePages(block: number, offset: number, bytes: Uint8Array): void;
  /**
   * Fills `count` pages from byte `offset` on; one that already holds `value` throughout is left untouched. The block
   * grows if it has to, but not for zeros. Errors: BAD_RAM_PAGE outside the block.
   */
  fillPages(block: number, offset: number, count: number, value: number): void;
  /**
   * Of memory that is sent on while it arrives: undefined when more may be written at once, otherwise a promise for the
   * moment when what was written before has been sent on far enough.
   */
  room?(): Promise<void> | undefined;
  /**
   * The bytes of a block, up to what is in use now, where this process has them as they are: for what the host can do with
   * memory as such. Pages are written by the methods above.
   */
  memory?(block: number): Uint8Array;
  /**
   * A block that is a memory of the engine: its pages can be read and written where they are, by whoever tells it so.
   * Undefined, as without the method: by the methods above only.
   */
  inPlace?(block: number): PagesInPlace | undefined;
  /** Told how many of the pages that `harvest` has reported were sent since the last call. */
  sent?(pages: number): void;
}

/** A RAM block in place: page `n` begins at byte `n * PAGE_SIZE` of the memory, which is shared. */
export interface PagesInPlace {
  readonly memory: WebAssembly.Memory;
  /** Whoever reads a page there keeps its first bytes in these, not as they are afterwards but as they were read. */
  readonly heads: PageHeads;
  /** Before pages are read there; the rest is as with {@link GuestRam.readPages}. */
  reading(page: number, count: number): void;
  /**
   * How many of `count` pages from byte `offset` on lie in memory that is there and have never been written to: they are zero.
   * Undefined where nobody keeps account of that.
   */
  unwritten?(offset: number, count: number): number;
  /** Before `count` pages from byte `offset` on are written there. Errors: as {@link GuestRam.writePages}. */
  writing(offset: number, count: number): void;
}

/**
 * How another thread gets at guest memory: it imports the module at `module` (a URL) and calls its
 * export `openRam(data)`, which returns a {@link GuestRam}. `data` survives structured clone.
 */
export interface RamAccess {
  readonly module: string;
  readonly data: unknown;
}

/** The function `openRam` of the module that a {@link RamAccess} names. */
export type OpenRam = (data: unknown) => GuestRam;

/** How the guest program ended. */
export type GuestExit =
  | { readonly kind: "exit"; readonly status: number }
  | { readonly kind: "trap"; readonly message: string };

/**
 * A guest that can be migrated. The agent's main thread holds it. All methods may be called in any
 * order that the comments allow; each pending call is rejected when the guest dies.
 */
export interface Machine {
  /** Machine type in the configuration section, for example `wasm-1`. */
  readonly type: string;
  /** State that travels as sections. Early devices are sent before RAM, the others after it. */
  readonly devices: DeviceRegistry;
  /** The machine came in a stream of QEMU: its stream is framed like that one, and it has no devices of its own. */
  readonly carried?: CarriedMachine;
  /** How it takes in a machine of any type. Without it only streams that fit `type` and `devices` are loaded. */
  readonly intake?: MachineIntake;
  /** Where the guest has drives. */
  readonly drives?: MachineDrives;
  /** Guest memory for other threads. On the destination it exists once the early devices are loaded. */
  ram(): RamAccess;
  /** The module of {@link ram}, for threads that load it before there is memory. */
  readonly ramModule?: string;
  /** Resolves when everything that can be prepared before the last byte is (compiled, instantiated). */
  prepared(): Promise<void>;
  /** Starts or continues execution. Does nothing when it runs already. */
  start(): Promise<void>;
  /** Stops execution at a safepoint; resolves when no instruction of the guest will run any more. */
  stop(): Promise<void>;
  /** Switches the dirty log on; resolves when every store made from then on is logged. */
  startDirtyLog(): Promise<void>;
  /** Switches the dirty log off, in whatever way the migration ended. */
  stopDirtyLog(): Promise<void>;
  /** Percentage (0..99) of time that the guest is kept from running. Without this a guest cannot be throttled. */
  setThrottle?(percentage: number): void;
  /** Resolves once when the guest program ends by itself; never when it is ended by `dispose`. */
  readonly exited: Promise<GuestExit>;
  /** Ends the guest and frees everything. Nothing of it runs afterwards. */
  dispose(): Promise<void>;
}
