import type { CodeWriter } from "./code-writer.ts";
import { op } from "./opcodes.ts";
import type { TypeTable } from "./type-table.ts";

/** Functions that the rewriter adds behind those of the module. Each gets its index when it is first asked for. */
export class HelperFunctions {
  readonly #types: TypeTable;
  readonly #first: number;
  readonly #byKey = new Map<unknown, number>();
  readonly #bodies: { readonly type: number; readonly body: Uint8Array }[] = [];

  /** @param first index of the first helper in the function index space. */
  constructor(types: TypeTable, first: number) {
    this.#types = types;
    this.#first = first;
  }

  get list(): readonly { readonly type: number; readonly body: Uint8Array }[] {
    return this.#bodies;
  }

  /** Index of the function of this key, if it was asked for. */
  known(key: unknown): number | undefined {
    return this.#byKey.get(key);
  }

  /**
   * Index of the function of this key.
   * @param build writes its local declarations and code, without the end. It may ask for others.
   */
  index(
    key: unknown,
    params: readonly number[],
    results: readonly number[],
    build: () => CodeWriter,
  ): number {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const body = build().u8(op.end).take();
    const index = this.#first + this.#bodies.length;
    this.#bodies.push({ type: this.#types.index(params, results), body });
    this.#byKey.set(key, index);
    return index;
  }
}
