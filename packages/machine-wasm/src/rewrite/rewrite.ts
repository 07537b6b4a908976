import { MigrationError } from "@peregrine/protocol";
import { assemble, exportedFunction, exportedTable, keptSegments, maximumPages } from "./assemble.ts";
import { CodeWriter } from "./code-writer.ts";
import { findRuns } from "./copy-runs.ts";
import { buildCallGraph, type CallGraph, tableFunctions } from "./call-graph.ts";
import { CONTROL, GLOBALS_LIMIT } from "./control-layout.ts";
import type { AnalysedFunction, ModuleContext } from "./body-emitter.ts";
import { FunctionEmitter } from "./emit-function.ts";
import { ResumeEmitter } from "./emit-resume.ts";
import { FrameHelpers } from "./frame-helpers.ts";
import { decodeBody, decodeFunction, type FunctionCode } from "./function-code.ts";
import { FramePlanner } from "./function-frames.ts";
import { describeFunction } from "./function-name.ts";
import { HelperFunctions } from "./helper-functions.ts";
import { HOST } from "./host-names.ts";
import { findLiveLocals } from "./liveness.ts";
import { planLoops } from "./loop-stores.ts";
import { parseModule, refuse, type WasmModule } from "./module.ts";
import { EXTERNREF, FUNCREF, op } from "./opcodes.ts";
import { findSites, type Site } from "./sites.ts";
import { globalBytes, type GlobalVariable, StateHelpers } from "./state-helpers.ts";
import { ABOVE, type FrameSites, type Rewritten, type RewrittenInfo } from "./rewritten.ts";
import { TypeTable } from "./type-table.ts";
import { WASI_MODULE } from "../wasi/import-names.ts";

/** Changes whenever the same module would be rewritten with other sites or frames. Both sides of a migration must agree. */
export const REWRITER_VERSION = 1;

/** Changes with every other change of the output. Only what keeps rewritten modules needs it. */
export const REWRITER_REVISION = 18;

/** What the rewriter has to know of the host. */
export interface RewriteOptions {
  /** Imports (module wasi_snapshot_preview1) that the host provides. */
  readonly supportedImports: ReadonlySet<string>;
  /** Those during which the guest can be unwound. */
  readonly blockingImports: ReadonlySet<string>;
  /** Marks as release stores: needed on processors that reorder stores. */
  readonly releaseMarks: boolean;
  /** A loop that counts looks at the stop flag once in as many iterations: a power of two. Default: 256. */
  readonly pollEvery?: number;
}

const POLL_EVERY = 256;

/** Engines allow 1000 parameters; a frame is saved by a call with all its values and its site. */
const MOST_FRAME_VALUES = 999;

/**
 * Rewrites a WASI command so that it can be stopped at a safepoint, its call stack read and continued elsewhere.
 * @param bytes a module that the engine has validated.
 * Errors: UNSUPPORTED_FEATURE naming the feature, the function and its offset.
 */
export function rewrite(bytes: Uint8Array, options: RewriteOptions): Rewritten {
  const module = parseModule(bytes);
  const blocking = checkImports(module, options);
  const entry = addEntry(module);
  const functions = new Map<number, FunctionCode>();
  const first = module.imports.length;
  for (let index = first; index < entry.index; index++) functions.set(index, decodeFunction(module, index));
  functions.set(entry.index, decodeBody(module, entry.index, entry.body, 0, entry.body.length));
  checkGlobals(module);
  checkTables(module, functions, blocking);
  checkTailCalls(module, functions, blocking);
  const graph = buildCallGraph(module, functions, blocking);
  const pollEvery = options.pollEvery ?? POLL_EVERY;
  const analysed = analyse(module, functions, graph, blocking, pollEvery);
  const withFrames = analysed.filter((fn) => fn.analysis.sites.length > 0);
  const ordinals = new Map(withFrames.map((fn, ordinal) => [fn.code.index, ordinal]));
  const parts = { module, functions, graph, analysed, withFrames, ordinals, entry: entry.index, options };
  return {
    ...emitVariants(parts),
    info: {
      ...describe(module, functions),
      sites: describeSites(withFrames, ordinals, graph, entry.index),
    },
  };
}

function checkImports(module: WasmModule, options: RewriteOptions): Set<number> {
  const blocking = new Set<number>();
  for (const [index, item] of module.imports.entries()) {
    if (item.module !== WASI_MODULE || !options.supportedImports.has(item.name)) {
      throw new MigrationError(
        "UNSUPPORTED_FEATURE",
        `The module imports ${item.module}.${item.name}, which is not a function of WASI preview 1; build it for wasm32-wasip1`,
      );
    }
    if (options.blockingImports.has(item.name)) blocking.add(index);
  }
  return blocking;
}

/** Adds a function that runs the start function, which an instance must not do by itself when it only takes over, and then `_start`. */
function addEntry(module: WasmModule): { index: number; body: Uint8Array } {
  const start = module.exports.find((item) => item.name === "_start" && item.kind === 0);
  if (start === undefined) {
    throw new MigrationError(
      "UNSUPPORTED_FEATURE",
      "The module exports no _start function: it is a library, not a command; build it as a WASI command",
    );
  }
  const body = new CodeWriter().u32(0);
  if (module.start !== undefined) body.call(module.start);
  body.call(start.index).u8(op.end);
  let type = module.types.findIndex(({ params, results }) => params.length === 0 && results.length === 0);
  if (type < 0) type = module.types.push({ params: [], results: [] }) - 1;
  const index = module.imports.length + module.functions.push(type) - 1;
  return { index, body: body.take() };
}

function checkGlobals(module: WasmModule): void {
  for (const [index, global] of module.globals.entries())
    if (global.mutable && (global.type === FUNCREF || global.type === EXTERNREF))
      throw refuse("a mutable global that holds a reference", `global ${index}`);
  const bytes = globalBytes(mutableGlobals(module));
  if (bytes > GLOBALS_LIMIT)
    throw refuse(`mutable globals of ${bytes} bytes`, `${GLOBALS_LIMIT} are possible in all`);
}

function checkTables(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
  blocking: ReadonlySet<number>,
): void {
  for (const index of tableFunctions(module, functions))
    if (blocking.has(index))
      throw refuse(`a pointer to the host call ${module.imports[index]!.name}`, "in a table");
  const changes = [...functions.values()].find((code) => code.writesTable);
  if (changes !== undefined && module.tables.some((table) => table.type === EXTERNREF))
    throw refuse("tables of host references", describeFunction(module, changes.index));
  if (module.data.length + module.elements.count > CONTROL.droppedBytes)
    throw refuse(
      "more passive segments than can be followed",
      `${module.data.length + module.elements.count}`,
    );
}

/** A call that waits is issued again from the frame of its caller, and a tail call leaves none. */
function checkTailCalls(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
  blocking: ReadonlySet<number>,
): void {
  for (const { index, tailCalls } of functions.values())
    for (const target of tailCalls)
      if (blocking.has(target))
        throw refuse(
          `a tail call of the host call ${module.imports[target]!.name}`,
          describeFunction(module, index),
        );
}

function analyse(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
  graph: CallGraph,
  blocking: ReadonlySet<number>,
  pollEvery: number,
): AnalysedFunction[] {
  const planner = new FramePlanner();
  let firstSite = 0;
  let firstMask = 0;
  return Array.from(functions.values(), (code) => {
    const analysis = findSites(module, code, graph, blocking);
    if (analysis.sites.length > 0) findLiveLocals(module, code, analysis);
    if (analysis.sites.some((site) => site.live.length + site.pending.length > MOST_FRAME_VALUES))
      throw refuse(
        `more than ${MOST_FRAME_VALUES} values that live across a call`,
        describeFunction(module, code.index),
      );
    const frames = planner.plan(code, analysis);
    const runs = findRuns(code, analysis);
    const loops = planLoops(code, analysis, pollEvery);
    const fn = { code, analysis, frames, runs, loops, firstSite, firstMask };
    firstSite += analysis.sites.length;
    firstMask += frames.masks.length;
    return fn;
  });
}

interface VariantInputs {
  readonly module: WasmModule;
  readonly functions: ReadonlyMap<number, FunctionCode>;
  readonly graph: CallGraph;
  readonly analysed: readonly AnalysedFunction[];
  readonly withFrames: readonly AnalysedFunction[];
  /** By a function's index its number among those with frames. */
  readonly ordinals: ReadonlyMap<number, number>;
  readonly entry: number;
  readonly options: RewriteOptions;
}

/** Bodies of the copies of functions. */
interface Copies {
  /** Of all functions that the module defines. */
  readonly fast: readonly Uint8Array[];
  /** Of those with frames. */
  readonly resume: readonly Uint8Array[];
}

/** What is the same for both variants. */
type SharedContext = Omit<ModuleContext, "tracked">;

/** The second variant goes on with the helpers of the first one, so that code without stores is the same in both. */
function emitVariants(input: VariantInputs): { plain: Uint8Array; tracked: Uint8Array } {
  const { module, withFrames, ordinals, graph } = input;
  const types = new TypeTable(module.types);
  const firstResume = module.imports.length + module.functions.length;
  const helpers = new HelperFunctions(types, firstResume + withFrames.length);
  const frameHelpers = new FrameHelpers(helpers, keptSegments(module));
  const stateHelpers = new StateHelpers(helpers, frameHelpers, input.options.releaseMarks);
  const context: SharedContext = {
    module,
    types,
    frameHelpers,
    stateHelpers,
    releaseMarks: input.options.releaseMarks,
    resumeIndex: (index) => (ordinals.has(index) ? firstResume + ordinals.get(index)! : undefined),
    mayTailCall: (index) => graph.mayTailCall.has(index),
    resumeTable: module.tables.length,
    code: new CodeWriter(1 << 16),
  };
  const copies = emitCopies(input, { ...context, tracked: false });
  const plain = emitModule(input, copies, helpers, context);
  const trackedCopies = emitCopies(input, { ...context, tracked: true }, copies);
  return { plain, tracked: emitModule(input, trackedCopies, helpers, context) };
}

/** @param plain those of the other variant, if they are known. */
function emitCopies(
  { module, analysed, withFrames, entry }: VariantInputs,
  context: ModuleContext,
  plain?: Copies,
): Copies {
  const stores = ({ analysis }: AnalysedFunction): boolean => analysis.addresses.size > 0;
  const fast = analysed.map((fn, n) => {
    if (plain !== undefined && !stores(fn)) return plain.fast[n]!;
    if (fn.analysis.sites.length > 0 || (context.tracked && stores(fn)) || fn.code.index === entry)
      return new FunctionEmitter(context, fn).emit();
    const { from, to } = module.bodies[fn.code.index - module.imports.length]!;
    return module.bytes.subarray(from, to);
  });
  const resume = withFrames.map((fn, n) =>
    plain !== undefined && !stores(fn) ? plain.resume[n]! : new ResumeEmitter(context, fn).emit(),
  );
  return { fast, resume };
}

function emitModule(
  input: VariantInputs,
  copies: Copies,
  helpers: HelperFunctions,
  { types, stateHelpers, resumeIndex }: SharedContext,
): Uint8Array {
  const { module, withFrames } = input;
  const globals = mutableGlobals(module);
  const drops = [...input.functions.values()].some((code) => code.dropsSegments);
  const segments = drops
    ? { data: module.data.length, elements: module.elements.count }
    : { data: 0, elements: 0 };
  const changing = changingTables(module, input.functions);
  const exports = [
    exportedFunction(HOST.start, input.entry),
    exportedFunction(HOST.saveGlobals, stateHelpers.saveGlobals(globals)),
    exportedFunction(HOST.loadState, stateHelpers.loadState(globals, segments)),
    ...changing.map((table) => exportedTable(`${HOST.table}${table}`, table)),
    ...(changing.length === 0
      ? []
      : Array.from(tableFunctions(module, input.functions), (index) =>
          exportedFunction(`${HOST.function}${index}`, index),
        )),
  ];
  const resumeEntry = resumeIndex(input.entry);
  if (resumeEntry !== undefined) exports.push(exportedFunction(HOST.resume, resumeEntry));
  const unwindType = types.index([], []);
  const resumeCopies = withFrames.map((fn, n) => ({
    type: types.index([], fn.code.type.results),
    body: copies.resume[n]!,
  }));
  return assemble({
    module,
    types: types.list,
    bodies: copies.fast,
    added: [...resumeCopies, ...helpers.list],
    unwindType,
    resumeTable: withFrames.map(({ code }) => resumeIndex(code.index)!),
    exports,
    masks: withFrames.map((fn) => fn.frames.masks),
  });
}

function describeSites(
  withFrames: readonly AnalysedFunction[],
  ordinals: ReadonlyMap<number, number>,
  graph: CallGraph,
  entry: number,
): FrameSites {
  const count = withFrames.reduce((sum, fn) => sum + fn.analysis.sites.length, 0);
  const frameSizes = new Uint32Array(count);
  const ownOrdinals = new Uint32Array(count);
  const above = new Int32Array(count);
  for (const [ordinal, fn] of withFrames.entries()) {
    for (const [number, site] of fn.analysis.sites.entries()) {
      frameSizes[fn.firstSite + number] = fn.frames.sites[number]!.shape.bytes;
      ownOrdinals[fn.firstSite + number] = ordinal;
      above[fn.firstSite + number] = ordinalAbove(fn, site, ordinals, graph);
    }
  }
  return { frameBytes: frameSizes, ordinals: ownOrdinals, above, entry: ordinals.get(entry) };
}

/** A callee that can leave by a tail call is another one when the guest is unwound. */
function ordinalAbove(
  { code }: AnalysedFunction,
  site: Site,
  ordinals: ReadonlyMap<number, number>,
  graph: CallGraph,
): number {
  if (site.kind !== "call") return ABOVE.none;
  const target = code.immediate[site.instruction]!;
  if (code.code[site.instruction] !== op.call || graph.mayTailCall.has(target)) return ABOVE.any;
  return ordinals.get(target) ?? ABOVE.any;
}

const mutableGlobals = (module: WasmModule): GlobalVariable[] =>
  module.globals.flatMap(({ type, mutable }, index) => (mutable ? [{ index, type }] : []));

const changingTables = (module: WasmModule, functions: ReadonlyMap<number, FunctionCode>): number[] =>
  [...functions.values()].some((code) => code.writesTable) ? [...module.tables.keys()] : [];

function describe(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
): Omit<RewrittenInfo, "sites"> {
  return {
    memory: { initial: module.memory.minimum, maximum: maximumPages(module) },
    segments: module.data.flatMap(({ address, bytes }) =>
      address === undefined ? [] : [{ address, bytes: bytes.slice() }],
    ),
    globalBytes: globalBytes(mutableGlobals(module)),
    droppable: module.data.length + module.elements.count,
    changingTables: changingTables(module, functions),
  };
}
