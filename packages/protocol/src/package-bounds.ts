import type { Limits } from "./limits.ts";
import { badPackage, limitExceeded } from "./refusals.ts";

/** Keeps what command PACKAGED embeds within its length. Offsets are those in the stream. */
export class PackageBounds {
  readonly #limits: Limits;
  /** Behind the package that is being read. */
  #end: number | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether a package is being read. */
  get isOpen(): boolean {
    return this.#end !== undefined;
  }

  /** A package begins at `offset`. Errors: BAD_STREAM_COMMAND inside another one, LIMIT_EXCEEDED. */
  start(offset: number, length: number): void {
    if (this.isOpen) throw badPackage("has another package in it");
    const limit = this.#limits.maxPackageBytes;
    if (length > limit) throw limitExceeded("bytes of a package", length, limit);
    this.#end = offset + length;
  }

  /** Bytes from `offset` to the end of the package; undefined outside of one. */
  remaining(offset: number): number | undefined {
    return this.#end === undefined ? undefined : this.#end - offset;
  }

  /** The package was read. */
  end(): void {
    this.#end = undefined;
  }

  /** Errors: BAD_STREAM_COMMAND when something in the package goes on behind it. */
  requireInside(offset: number): void {
    if (this.#end !== undefined && offset > this.#end) throw badPackage("ends in the middle of something");
  }
}
