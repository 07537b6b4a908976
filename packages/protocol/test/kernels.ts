import { TypeScriptPageKernel, WasmPageKernel } from "../src/index.ts";
import type { PageKernel } from "../src/index.ts";

/** What all results of kernels have to be the same for. */
export const KERNELS: readonly (readonly [name: string, open: (bytes: number) => PageKernel])[] = [
  ["typescript", (bytes) => new TypeScriptPageKernel(bytes)],
  // The engines that tests run on have what the kernels need: should one not, its tests have to fail.
  ["wasm", (bytes) => new WasmPageKernel(bytes)],
];

/** Takes a part of the work memory with bytes around it that {@link Fenced.intact} looks at. */
export class Fenced {
  static readonly SIZE = 64;
  readonly at: number;
  readonly #kernel: PageKernel;
  readonly #length: number;

  constructor(kernel: PageKernel, length: number) {
    this.#kernel = kernel;
    this.#length = length;
    this.at = kernel.take(length + 2 * Fenced.SIZE) + Fenced.SIZE;
    this.#before.fill(0xa5);
    this.#behind.fill(0xa5);
  }

  get bytes(): Uint8Array {
    return this.#kernel.bytes.subarray(this.at, this.at + this.#length);
  }

  get intact(): boolean {
    return [...this.#before, ...this.#behind].every((byte) => byte === 0xa5);
  }

  get #before(): Uint8Array {
    return this.#kernel.bytes.subarray(this.at - Fenced.SIZE, this.at);
  }

  get #behind(): Uint8Array {
    const end = this.at + this.#length;
    return this.#kernel.bytes.subarray(end, end + Fenced.SIZE);
  }
}
