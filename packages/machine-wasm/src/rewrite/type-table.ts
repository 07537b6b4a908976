import { typeKey } from "./call-graph.ts";
import type { FunctionType } from "./module.ts";

/** The module's types, to which the rewriter adds the ones it needs. */
export class TypeTable {
  readonly list: FunctionType[];
  readonly #byKey = new Map<string, number>();

  constructor(types: readonly FunctionType[]) {
    this.list = [...types];
    for (const [index, type] of types.entries())
      if (!this.#byKey.has(typeKey(type))) this.#byKey.set(typeKey(type), index);
  }

  index(params: readonly number[], results: readonly number[]): number {
    const type = { params, results };
    const key = typeKey(type);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    this.#byKey.set(key, this.list.length);
    this.list.push(type);
    return this.list.length - 1;
  }
}
