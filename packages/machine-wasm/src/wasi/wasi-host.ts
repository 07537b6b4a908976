import { MigrationError } from "@peregrine/protocol/errors";
import { descriptorCalls } from "./calls/descriptor.ts";
import { pathCalls } from "./calls/path.ts";
import { pollCalls } from "./calls/poll.ts";
import { processCalls } from "./calls/process.ts";
import { readWriteCalls } from "./calls/read-write.ts";
import { socketCalls } from "./calls/sockets.ts";
import { ConsoleInput } from "./console-input.ts";
import type { HostCall, HostCalls, WasiContext } from "./context.ts";
import type { OpenDescriptor } from "./descriptors.ts";
import { HostError } from "./errno.ts";
import { GuestClock } from "./guest-clock.ts";
import { GuestMemory } from "./guest-memory.ts";
import type {
  GuestControl,
  GuestMemorySource,
  HostClock,
  HostConsole,
  HostFiles,
  HostRandom,
} from "./host.ts";
import { closeAll, describePlace, isGone, reopenAll } from "./reopen.ts";
import type { HeldFiles, ResolvePreopen } from "./reopen.ts";
import { openFresh } from "./start.ts";
import type { DescriptorState, WasiConfig, WasiState } from "./state.ts";

/** What the WASI layer is given by its host. */
export interface WasiHostDependencies {
  readonly memory: GuestMemorySource;
  readonly files: HostFiles;
  readonly clock: HostClock;
  readonly random: HostRandom;
  readonly console: HostConsole;
  readonly control: GuestControl;
}

/** A fresh guest has a `config`, one that arrived has a `restored` state. */
export type WasiHostOptions = WasiHostDependencies &
  (
    | { readonly config: WasiConfig }
    | {
        readonly restored: WasiState;
        readonly resolvePreopen?: ResolvePreopen | undefined;
        readonly held?: HeldFiles | undefined;
      }
  );

/** A host function as WebAssembly imports it: returns an error number of preview1, 0 for success. */
export type HostFunction = (...args: (number | bigint)[]) => number;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The host functions of WASI preview1 for one guest, with all their state. */
export class WasiHost {
  /**
   * The functions of module `wasi_snapshot_preview1`. What they throw leaves the guest: an unwind,
   * {@link GuestExitSignal}, or a defect of the host.
   */
  readonly imports: Readonly<Record<string, HostFunction>>;
  readonly #context: WasiContext;

  /**
   * Errors: for a fresh guest NO_SUCH_FILE when a directory cannot be opened and BAD_PARAMETER; for
   * one that arrived DEVICE_STATE, listing all directories and files that cannot be opened.
   */
  constructor(options: WasiHostOptions) {
    const { memory, files, clock, random, console, control } = options;
    const restored = "restored" in options ? options.restored : undefined;
    const open =
      "restored" in options
        ? reopenAll(options.restored, files, options.resolvePreopen, options.held)
        : openFresh(options.config, files);
    const { args, env } = "restored" in options ? options.restored : options.config;
    this.#context = {
      ...open,
      memory: new GuestMemory(memory, (address, length) => control.markDirty(address, length)),
      files,
      console,
      control,
      random,
      input: new ConsoleInput(console, restored?.consoleInput, restored?.consoleInputEnded),
      clock: new GuestClock(clock, restored?.monotonicNs),
      args: args.map((text) => encoder.encode(text)),
      env: env.map((text) => encoder.encode(text)),
      pollStartedNs: restored?.pollStartedNs,
      exitStatus: restored?.exitStatus,
    };
    this.imports = hostFunctions({
      ...processCalls(this.#context),
      ...descriptorCalls(this.#context),
      ...readWriteCalls(this.#context),
      ...pathCalls(this.#context),
      ...pollCalls(this.#context),
      ...socketCalls(this.#context),
    });
  }

  /** All state, between two host calls. The guest may go on here afterwards. */
  capture(): WasiState {
    const context = this.#context;
    const { unread, ended } = context.input.capture();
    return {
      args: context.args.map((text) => decoder.decode(text)),
      env: context.env.map((text) => decoder.decode(text)),
      preopens: context.roots.map(({ guestPath, hostPath }) => ({ guestPath, hostPath })),
      descriptors: Array.from(context.table.entries(), ([fd, open]) => this.#describe(fd, open)),
      monotonicNs: context.clock.monotonicNs(),
      pollStartedNs: context.pollStartedNs,
      consoleInput: unread,
      consoleInputEnded: ended,
      exitStatus: context.exitStatus,
    };
  }

  /** The open files by their handles, for another thread of this process that goes on with the guest. */
  held(): HeldFiles {
    const { roots, table } = this.#context;
    return {
      roots: roots.map(({ handle }) => handle),
      descriptors: new Map(
        Array.from(table.entries()).flatMap(([fd, open]) =>
          open.kind === "console" ? [] : [[fd, open.handle] as const],
        ),
      ),
    };
  }

  /** Why the guest cannot be moved as it is now, one sentence for each open file; empty when it can. */
  unmovable(): string[] {
    const reasons: string[] = [];
    for (const [fd, open] of this.#context.table.entries()) {
      if (open.kind === "console" || !isGone(this.#context.files, this.#context, open)) continue;
      const root = this.#context.roots[open.root];
      const place = root === undefined ? open.path : describePlace(root, open.path);
      reasons.push(
        `descriptor ${fd}, ${place}, was deleted or replaced while the guest has it open, so no other host can open it`,
      );
    }
    return reasons;
  }

  /** Tries to open everything that `state` names, and closes it again. Errors: DEVICE_STATE, listing all problems. */
  static check(state: WasiState, files: HostFiles, resolvePreopen?: ResolvePreopen): void {
    closeAll(files, reopenAll(state, files, resolvePreopen));
  }

  /** Closes every file. The host functions must not be called any more. */
  dispose(): void {
    closeAll(this.#context.files, this.#context);
  }

  #describe(fd: number, open: OpenDescriptor): DescriptorState {
    const { rights, inheritingRights, flags } = open;
    const common = { fd, rights, inheritingRights, flags };
    if (open.kind === "console") return { ...common, kind: open.kind, stream: open.stream };
    const { files } = this.#context;
    const place = { root: open.root, path: open.path, gone: isGone(files, this.#context, open) };
    if (open.kind === "directory") return { ...common, ...place, kind: open.kind, preopened: open.preopened };
    const { read, write, position } = open;
    try {
      const { size } = files.stat(open.handle);
      return { ...common, ...place, kind: open.kind, read, write, position, size };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      throw new MigrationError(
        "DEVICE_STATE",
        `descriptor ${fd}, ${open.path}, cannot be looked at: ${error.errno}`,
        {
          cause: error,
          section: "wasi",
        },
      );
    }
  }
}

function hostFunctions(calls: HostCalls): Record<string, HostFunction> {
  return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, hostFunction(call)]));
}

/** Makes arguments unsigned, and turns a HostError into the number that the guest gets. */
function hostFunction(call: HostCall): HostFunction {
  const untyped = call as (...args: (number | bigint)[]) => void;
  return (...args) => {
    for (const [index, value] of args.entries()) {
      args[index] = typeof value === "number" ? value >>> 0 : BigInt.asUintN(64, value);
    }
    try {
      untyped(...args);
      return 0;
    } catch (error) {
      if (error instanceof HostError) return error.number;
      throw error;
    }
  };
}
