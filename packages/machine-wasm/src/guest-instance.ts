import { MigrationError } from "@peregrine/protocol/errors";
import { ControlBlock } from "./control-block.ts";
import { linkFrames } from "./frames.ts";
import type { CpuState, GuestThreadData, Variant } from "./guest-messages.ts";
import { HOST } from "./rewrite/host-names.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import { WASI_MODULE } from "./wasi/import-names.ts";

type Imports = Readonly<Record<string, (...args: (number | bigint)[]) => number>>;
type Callable = (...args: number[]) => void;

/** Why the guest's code came back to the host. */
export type Departure =
  | { readonly kind: "finished" }
  | { readonly kind: "unwound" }
  /** The saved frames did not fit the thread's stack. No instruction of the guest has run; the frames are as they were. */
  | { readonly kind: "out-of-stack" }
  | { readonly kind: "threw"; readonly error: unknown };

/**
 * The guest's instance and, when the variant changes, its next one. Instances share both memories; globals, tables and dropped
 * segments are carried over.
 */
export class GuestInstance {
  readonly #data: GuestThreadData;
  readonly #imports: Imports;
  readonly #block: ControlBlock;
  readonly #tag = new WebAssembly.Tag({ parameters: [] });
  #exports: WebAssembly.Exports | undefined;
  #variant: Variant = "plain";

  constructor(data: GuestThreadData, imports: Imports) {
    this.#data = data;
    this.#imports = imports;
    this.#block = new ControlBlock(data.control);
  }

  /** The exception by which a host call leaves the guest to be issued again. */
  unwind(): never {
    throw new WebAssembly.Exception(this.#tag, []);
  }

  instantiate(variant: Variant): void {
    const module = variant === "tracked" ? this.#data.program.tracked : this.#data.program.plain;
    const { memory, control } = this.#data;
    const host = { [HOST.memory]: memory, [HOST.control]: control, [HOST.unwind]: this.#tag };
    const instance = new WebAssembly.Instance(module, {
      [WASI_MODULE]: { ...this.#imports },
      [HOST.module]: host,
    });
    this.#exports = instance.exports;
    this.#variant = variant;
  }

  get variant(): Variant {
    return this.#variant;
  }

  /** Replaces the instance by one of another variant, with the same state. When that fails, the present one stays. */
  use(variant: Variant): void {
    if (variant === this.#variant) return;
    const before = { exports: this.#exports, variant: this.#variant };
    const cpu = this.capture();
    try {
      this.instantiate(variant);
      this.load(cpu);
    } catch (error) {
      this.#exports = before.exports;
      this.#variant = before.variant;
      throw error;
    }
  }

  start(): Departure {
    this.#block.framesEnd = CONTROL.frames;
    return this.#run(HOST.start);
  }

  /** Continues from the saved frames. Errors: DEVICE_STATE when they do not fit the program. */
  resume(): Departure {
    const end = this.#block.framesEnd;
    linkFrames(this.#data.control, end, this.#data.program.info.sites);
    this.#block.clearSaved();
    const departure = this.#run(HOST.resume);
    // Each function takes its frame before it goes on: while some are left, none of the guest's own code has run.
    const isDescending = this.#block.framesEnd > CONTROL.frames && !this.#block.hasSaved;
    if (departure.kind !== "threw" || !isDescending || !(departure.error instanceof RangeError))
      return departure;
    this.#block.framesEnd = end;
    return { kind: "out-of-stack" };
  }

  #run(entry: string): Departure {
    try {
      this.#call(entry);
      return { kind: "finished" };
    } catch (error) {
      const unwound = error instanceof WebAssembly.Exception && error.is(this.#tag);
      return unwound ? { kind: "unwound" } : { kind: "threw", error };
    }
  }

  #call(name: string, ...args: number[]): void {
    const callee = this.#exports?.[name];
    if (typeof callee !== "function")
      throw new MigrationError("INTERNAL", `The rewritten module has no export ${name}`);
    (callee as Callable)(...args);
  }

  /** Globals and tables of a guest that is stopped. */
  capture(): CpuState {
    const { globalBytes, changingTables } = this.#data.program.info;
    this.#call(HOST.saveGlobals);
    const end = this.#block.framesEnd - globalBytes;
    this.#block.framesEnd = end;
    return {
      globals: new Uint8Array(this.#data.control.buffer).slice(end, end + globalBytes),
      tables: changingTables.map((table) => this.#captureTable(table)),
    };
  }

  /** Gives a new instance the state of the one that `cpu` was captured from. */
  load(cpu: CpuState): void {
    const { globalBytes, changingTables } = this.#data.program.info;
    if (cpu.globals.length !== globalBytes || cpu.tables.length !== changingTables.length) {
      throw new MigrationError(
        "DEVICE_STATE",
        `The processor state does not fit the program: ${cpu.globals.length} bytes of globals and ${cpu.tables.length} tables, expected ${globalBytes} and ${changingTables.length}`,
      );
    }
    // The room behind the frames is free: the module takes its globals from there.
    const end = this.#block.framesEnd;
    const missing = end + globalBytes - this.#data.control.buffer.byteLength;
    if (missing > 0) this.#data.control.grow(Math.ceil(missing / 65536));
    new Uint8Array(this.#data.control.buffer).set(cpu.globals, end);
    this.#call(HOST.loadState, end);
    for (const [n, table] of changingTables.entries()) this.#loadTable(table, cpu.tables[n]!);
  }

  #table(number: number): WebAssembly.Table {
    return this.#exports![`${HOST.table}${number}`] as WebAssembly.Table;
  }

  /** An exported function's name is its index, by the JavaScript interface of WebAssembly. */
  #captureTable(number: number): Int32Array {
    const table = this.#table(number);
    return Int32Array.from({ length: table.length }, (_, index) => {
      const entry = table.get(index) as Callable | null;
      return entry === null ? -1 : Number(entry.name);
    });
  }

  #loadTable(number: number, entries: Int32Array): void {
    const table = this.#table(number);
    if (entries.length < table.length)
      throw badTable(number, `${entries.length} entries, at least ${table.length} expected`);
    try {
      if (entries.length > table.length) table.grow(entries.length - table.length);
    } catch (cause) {
      throw badTable(number, `it cannot have ${entries.length} entries`, cause);
    }
    for (const [index, entry] of entries.entries()) {
      const value = entry === -1 ? null : this.#exports![`${HOST.function}${entry}`];
      if (value === undefined)
        throw badTable(number, `entry ${index} names function ${entry}, which cannot be in a table`);
      table.set(index, value);
    }
  }
}

const badTable = (number: number, why: string, cause?: unknown): MigrationError =>
  new MigrationError("DEVICE_STATE", `Table ${number} does not fit the program: ${why}`, { cause });
