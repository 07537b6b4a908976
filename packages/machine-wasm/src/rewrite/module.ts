import { MigrationError } from "@peregrine/protocol";
import { BinaryReader } from "./binary.ts";
import { EXTERNREF, F32, F64, FUNCREF, I32, I64, V128 } from "./opcodes.ts";

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface ImportedFunction {
  readonly module: string;
  readonly name: string;
  readonly type: number;
}

export interface GlobalDefinition {
  readonly type: number;
  readonly mutable: boolean;
  /** The constant expression with its end opcode. */
  readonly init: Uint8Array;
}

export interface TableDefinition {
  readonly type: number;
  /** Entries at the start. */
  readonly minimum: number;
  readonly bytes: Uint8Array;
}

export interface DataSegment {
  /** Where an active segment goes; undefined for a passive one. */
  readonly address: number | undefined;
  readonly bytes: Uint8Array;
}

export interface FunctionBody {
  /** Offset in the module of the body's first byte (the local declarations). */
  readonly from: number;
  readonly to: number;
}

/** A parsed command module: what the rewriter edits is decoded, what it only copies is kept as bytes. */
export interface WasmModule {
  readonly bytes: Uint8Array;
  readonly types: FunctionType[];
  readonly imports: readonly ImportedFunction[];
  /** Type index of each defined function. */
  readonly functions: number[];
  readonly tables: readonly TableDefinition[];
  readonly memory: { readonly minimum: number; readonly maximum: number | undefined };
  readonly globals: readonly GlobalDefinition[];
  /** Functions that the initial values of globals refer to. */
  readonly globalFunctions: ReadonlySet<number>;
  readonly exports: readonly { readonly name: string; readonly kind: number; readonly index: number }[];
  readonly start: number | undefined;
  /** The element section as it is, and every function index that occurs in it. */
  readonly elements: {
    readonly count: number;
    readonly bytes: Uint8Array;
    readonly functions: ReadonlySet<number>;
  };
  readonly hasDataCount: boolean;
  readonly data: readonly DataSegment[];
  readonly bodies: FunctionBody[];
  /** The name section, which keeps its meaning because function indexes do not change. */
  readonly names: Uint8Array | undefined;
}

/** Entries that all tables may have at the start: the engine makes them, of a few bytes of the module. */
const MOST_TABLE_ENTRIES = 1024 * 1024;

const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;
export { SECTION };

export function refuse(feature: string, where: string): MigrationError {
  return new MigrationError(
    "UNSUPPORTED_FEATURE",
    `The module uses ${feature} (${where}), which cannot be migrated; run it with --no-migrate to keep it on this host`,
  );
}

const at = (position: number): string => `at offset 0x${position.toString(16)}`;

/**
 * Parses a module that the engine has validated.
 * Errors: UNSUPPORTED_FEATURE naming the feature and its offset.
 */
export function parseModule(bytes: Uint8Array): WasmModule {
  const sections = new Map<number, BinaryReader>();
  let names: Uint8Array | undefined;
  const reader = new BinaryReader(bytes, 8);
  while (reader.position < bytes.length) {
    const id = reader.u8();
    const size = reader.u32();
    const body = reader.position;
    if (id === SECTION.custom) {
      const name = reader.name();
      if (name === "name") names = bytes.subarray(body, body + size);
    } else {
      sections.set(id, new BinaryReader(bytes, body));
    }
    reader.position = body + size;
  }
  const vector = <T>(id: number, item: (from: BinaryReader) => T): T[] => {
    const from = sections.get(id);
    return from === undefined ? [] : Array.from({ length: from.u32() }, () => item(from));
  };
  if (sections.has(SECTION.tag)) throw refuse("exception handling", at(sections.get(SECTION.tag)!.position));

  const types = vector(SECTION.type, readFunctionType);
  const imports = vector(SECTION.import, readImport);
  const functions = vector(SECTION.function, (from) => from.u32());
  const tables = vector(SECTION.table, readTable);
  const entries = tables.reduce((sum, { minimum }) => sum + minimum, 0);
  if (entries > MOST_TABLE_ENTRIES)
    throw refuse(`tables of ${entries} entries`, `${MOST_TABLE_ENTRIES} are possible in all`);
  const memories = vector(SECTION.memory, readMemory);
  if (memories.length === 0) {
    throw new MigrationError(
      "UNSUPPORTED_FEATURE",
      "The module has no memory, so it is no WASI command; build it for wasm32-wasip1",
    );
  }
  if (memories.length > 1) throw refuse(`${memories.length} memories`, "a command has one");
  const globalFunctions = new Set<number>();
  const globals = vector(SECTION.global, (from): GlobalDefinition => {
    const type = readValueType(from);
    const mutable = from.u8() === 1;
    const start = from.position;
    skipConstant(from, globalFunctions);
    return { type, mutable, init: bytes.subarray(start, from.position) };
  });
  const exports = vector(SECTION.export, (from) => ({
    name: from.name(),
    kind: from.u8(),
    index: from.u32(),
  }));
  const constants = constantGlobals(globals);
  const data = vector(SECTION.data, (from) => readData(from, constants));
  const bodies = vector(SECTION.code, (from): FunctionBody => {
    const size = from.u32();
    const start = from.position;
    from.position += size;
    return { from: start, to: from.position };
  });
  return {
    bytes,
    types,
    imports,
    functions,
    tables,
    memory: memories[0]!,
    globals,
    globalFunctions,
    exports,
    start: sections.get(SECTION.start)?.u32(),
    elements: readElements(sections.get(SECTION.element)),
    hasDataCount: sections.has(SECTION.dataCount),
    data,
    bodies,
    names,
  };
}

export function readValueType(from: BinaryReader): number {
  const position = from.position;
  const type = from.u8();
  if (![I32, I64, F32, F64, V128, FUNCREF, EXTERNREF].includes(type))
    throw refuse("typed references", at(position));
  return type;
}

function readFunctionType(from: BinaryReader): FunctionType {
  const position = from.position;
  if (from.u8() !== 0x60) throw refuse("garbage-collected types", at(position));
  const params = Array.from({ length: from.u32() }, () => readValueType(from));
  return { params, results: Array.from({ length: from.u32() }, () => readValueType(from)) };
}

function readImport(from: BinaryReader): ImportedFunction {
  const position = from.position;
  const module = from.name();
  const name = from.name();
  const kind = from.u8();
  const kindName = ["function", "table", "memory", "global", "tag"][kind] ?? "object";
  if (kind !== 0) throw refuse(`the imported ${kindName} ${module}.${name}`, at(position));
  return { module, name, type: from.u32() };
}

function readLimits(from: BinaryReader): { flags: number; minimum: number; maximum: number | undefined } {
  const flags = from.u8();
  const minimum = from.u32();
  return { flags, minimum, maximum: (flags & 1) === 1 ? from.u32() : undefined };
}

function readTable(from: BinaryReader): TableDefinition {
  const start = from.position;
  if (from.bytes[start] === 0x40) throw refuse("tables with an initial value", at(start));
  const type = readValueType(from);
  const { flags, minimum } = readLimits(from);
  if (flags > 1) throw refuse("64-bit or shared tables", at(start));
  return { type, minimum, bytes: from.bytes.subarray(start, from.position) };
}

function readMemory(from: BinaryReader): { minimum: number; maximum: number | undefined } {
  const start = from.position;
  const { flags, minimum, maximum } = readLimits(from);
  if ((flags & 2) !== 0) throw refuse("a shared memory (guest threads)", at(start));
  if ((flags & ~1) !== 0) throw refuse("a 64-bit memory or a custom page size", at(start));
  return { minimum, maximum };
}

/** Steps over a constant expression, its end opcode included, and notes the functions that it refers to. */
function skipConstant(from: BinaryReader, functions: Set<number>): void {
  for (;;) {
    const code = from.u8();
    if (code === 0x0b) return;
    if (code === 0x43) from.position += 4;
    else if (code === 0x44) from.position += 8;
    else if (code === 0xfd) {
      from.skipLeb();
      from.position += 16;
    } else if (code === 0xd2) functions.add(from.u32());
    else if (code === 0x41 || code === 0x42 || code === 0x23 || code === 0xd0) from.skipLeb();
    else if (![0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].includes(code))
      throw refuse("an unusual constant expression", at(from.position - 1));
  }
}

/**
 * Values of the globals that an address may use, in their order: one may refer to those before it, twice, and they to
 * others, so each is worked out once. Undefined for what is no i32 that stays as it is.
 */
function constantGlobals(globals: readonly GlobalDefinition[]): (number | undefined)[] {
  const values: (number | undefined)[] = [];
  for (const { type, mutable, init } of globals) {
    values.push(type === I32 && !mutable ? evaluate(new BinaryReader(init), values) : undefined);
  }
  return values;
}

/** Value of an i32 constant expression: constants, immutable globals, and the extended arithmetic. Undefined for others. */
function evaluate(from: BinaryReader, globals: readonly (number | undefined)[]): number | undefined {
  const stack: number[] = [];
  for (;;) {
    const code = from.u8();
    if (code === 0x0b) return stack.pop()! >>> 0;
    if (code === 0x41) stack.push(from.s32());
    else if (code === 0x23) {
      const value = globals[from.u32()];
      if (value === undefined) return undefined;
      stack.push(value);
    } else if (code === 0x6a || code === 0x6b || code === 0x6c) {
      const right = stack.pop()!;
      const left = stack.pop()!;
      stack.push(
        code === 0x6a ? (left + right) | 0 : code === 0x6b ? (left - right) | 0 : Math.imul(left, right),
      );
    } else return undefined;
  }
}

function evaluateAddress(from: BinaryReader, globals: readonly (number | undefined)[]): number {
  const { position } = from;
  const address = evaluate(from, globals);
  if (address === undefined) throw refuse("an unusual data segment address", at(position));
  return address;
}

function readData(from: BinaryReader, globals: readonly (number | undefined)[]): DataSegment {
  const flags = from.u32();
  if (flags === 2) from.u32();
  const address = flags === 1 ? undefined : evaluateAddress(from, globals);
  return { address, bytes: from.slice(from.u32()) };
}

/** Element segments come in eight forms: bit 0 passive or declarative, bit 1 explicit table or declarative, bit 2 expressions. */
function readElements(from: BinaryReader | undefined): WasmModule["elements"] {
  const functions = new Set<number>();
  if (from === undefined) return { count: 0, bytes: new Uint8Array(0), functions };
  const count = from.u32();
  const start = from.position;
  for (let segment = 0; segment < count; segment++) {
    const flags = from.u32();
    if ((flags & 1) === 0) {
      if ((flags & 2) !== 0) from.u32();
      skipConstant(from, functions);
    }
    if ((flags & 3) !== 0) {
      if ((flags & 4) !== 0) readValueType(from);
      else from.u8();
    }
    for (let left = from.u32(); left > 0; left--) {
      if ((flags & 4) === 0) functions.add(from.u32());
      else skipConstant(from, functions);
    }
  }
  return { count, bytes: from.bytes.subarray(start, from.position), functions };
}
