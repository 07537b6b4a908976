import type { FunctionCode } from "./function-code.ts";
import type { FunctionType, WasmModule } from "./module.ts";

export interface CallGraph {
  /** Functions during whose call the guest may be unwound: they reach a safepoint or a blocking import. Indexes include imports. */
  readonly mayUnwind: ReadonlySet<number>;
  /** Type keys of indirect calls that may reach such a function. */
  readonly indirectMayUnwind: ReadonlySet<string>;
  /** Functions that close a recursion: each cycle of calls contains one. They poll on entry. */
  readonly recursive: ReadonlySet<number>;
  /** Functions that may leave by a tail call: the frame below their caller's is then another function's. */
  readonly mayTailCall: ReadonlySet<number>;
}

export const typeKey = (type: FunctionType): string => `${type.params.join()}>${type.results.join()}`;

/** Direct and indirect callees; an indirect call reaches the functions of its own type that a table can hold. */
class Edges {
  readonly #functions: ReadonlyMap<number, FunctionCode>;
  readonly #module: WasmModule;
  readonly #tableFunctions = new Map<string, number[]>();

  constructor(module: WasmModule, functions: ReadonlyMap<number, FunctionCode>) {
    this.#module = module;
    this.#functions = functions;
    for (const index of tableFunctions(module, functions)) {
      const key = typeKey(functionType(module, index));
      const list = this.#tableFunctions.get(key);
      if (list === undefined) this.#tableFunctions.set(key, [index]);
      else list.push(index);
    }
  }

  inTable(key: string): readonly number[] {
    return this.#tableFunctions.get(key) ?? [];
  }

  indirectKeys(index: number): string[] {
    const code = this.#functions.get(index);
    if (code === undefined) return [];
    return [...code.indirect, ...code.indirectTail].map((type) => typeKey(this.#module.types[type]!));
  }

  callees(index: number): number[] {
    const code = this.#functions.get(index);
    if (code === undefined) return [];
    return [
      ...code.calls,
      ...code.tailCalls,
      ...this.indirectKeys(index).flatMap((key) => this.inTable(key)),
    ];
  }
}

/**
 * Functions that a table can come to hold: those of element segments and of the globals that these name; where the code
 * changes tables, exported ones too, to which it can take a reference.
 */
export function tableFunctions(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
): ReadonlySet<number> {
  const found = new Set([...module.elements.functions, ...module.globalFunctions]);
  if ([...functions.values()].some((code) => code.writesTable))
    for (const item of module.exports) if (item.kind === 0) found.add(item.index);
  return found;
}

/** Type of a function by its index, imports included. */
export function functionType(module: WasmModule, index: number): FunctionType {
  const imported = module.imports[index];
  return module.types[
    imported === undefined ? module.functions[index - module.imports.length]! : imported.type
  ]!;
}

export function buildCallGraph(
  module: WasmModule,
  functions: ReadonlyMap<number, FunctionCode>,
  blockingImports: ReadonlySet<number>,
): CallGraph {
  const edges = new Edges(module, functions);
  const recursive = closesCycle(functions, edges);
  const callers = new Map<number, number[]>();
  for (const index of functions.keys()) {
    for (const callee of edges.callees(index)) {
      const list = callers.get(callee);
      if (list === undefined) callers.set(callee, [index]);
      else list.push(index);
    }
  }
  const mayUnwind = new Set(blockingImports);
  for (const [index, code] of functions) if (code.hasLoop || recursive.has(index)) mayUnwind.add(index);
  const work = [...mayUnwind];
  for (let index = work.pop(); index !== undefined; index = work.pop()) {
    for (const caller of callers.get(index) ?? []) {
      if (mayUnwind.has(caller)) continue;
      mayUnwind.add(caller);
      work.push(caller);
    }
  }
  const indirectMayUnwind = new Set<string>();
  for (const index of functions.keys())
    for (const key of edges.indirectKeys(index))
      if (edges.inTable(key).some((target) => mayUnwind.has(target))) indirectMayUnwind.add(key);
  const mayTailCall = new Set<number>();
  for (const [index, code] of functions)
    if (code.tailCalls.size > 0 || code.indirectTail.size > 0) mayTailCall.add(index);
  return { mayUnwind, indirectMayUnwind, recursive, mayTailCall };
}

/** Targets of back edges in a depth-first walk over the calls. The walk keeps its own stack: call chains are long. */
function closesCycle(functions: ReadonlyMap<number, FunctionCode>, edges: Edges): Set<number> {
  const closing = new Set<number>();
  const done = new Set<number>();
  const onPath = new Set<number>();
  for (const root of functions.keys()) {
    if (done.has(root)) continue;
    const path = [{ index: root, callees: edges.callees(root), next: 0 }];
    onPath.add(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const callee = top.callees[top.next++];
      if (callee === undefined) {
        path.pop();
        onPath.delete(top.index);
        done.add(top.index);
      } else if (onPath.has(callee)) closing.add(callee);
      else if (!done.has(callee) && functions.has(callee)) {
        onPath.add(callee);
        path.push({ index: callee, callees: edges.callees(callee), next: 0 });
      }
    }
  }
  return closing;
}
