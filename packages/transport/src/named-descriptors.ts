import { MigrationError } from "@peregrine/protocol";
import { closeSync } from "node:fs";
import { formatUri } from "./address.ts";
import { unknownName, usableDescriptor } from "./fd.ts";
import { parseUri } from "./uri.ts";
import type { Direction } from "./uri.ts";

/** Descriptors to keep for clients at a time. */
const MAX_DESCRIPTORS = 64;

/** The descriptors that clients of the monitor have handed over, by name, until a migration takes them. */
export class NamedDescriptors {
  readonly #descriptors = new Map<string, number>();

  /**
   * Keeps a descriptor; one of the same name is closed. Errors, with `descriptor` closed: BAD_PARAMETER,
   * LIMIT_EXCEEDED.
   */
  add(name: string, descriptor: number): void {
    const refusal = this.#refusal(name);
    if (refusal !== undefined) {
      closeSync(descriptor);
      throw refusal;
    }
    const before = this.#descriptors.get(name);
    this.#descriptors.set(name, descriptor);
    if (before !== undefined) closeSync(before);
  }

  /** Closes a descriptor. Errors: BAD_PARAMETER. */
  remove(name: string): void {
    const descriptor = this.#descriptors.get(name);
    if (descriptor === undefined) {
      throw new MigrationError("BAD_PARAMETER", `File descriptor named '${name}' not found`);
    }
    this.#descriptors.delete(name);
    closeSync(descriptor);
  }

  /**
   * `fd:NAME` as `fd:NUMBER`: the name is used up, and whoever opens the URI has the descriptor. Other URIs stay as
   * they are. Errors: CONNECT_FAILED, also for a descriptor that is of no use, which is closed; those of `parseUri`.
   */
  resolve(uri: string, direction: Direction): string {
    const address = parseUri(uri, direction);
    if (address.kind !== "fd" || typeof address.descriptor === "number") return uri;
    const descriptor = this.#descriptors.get(address.descriptor);
    if (descriptor === undefined) throw unknownName(address.descriptor);
    this.#descriptors.delete(address.descriptor);
    try {
      usableDescriptor(descriptor, direction === "outgoing" ? "out" : "in", "CONNECT_FAILED");
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return formatUri({ kind: "fd", descriptor });
  }

  /** Closes what is left. */
  close(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
    this.#descriptors.clear();
  }

  #refusal(name: string): MigrationError | undefined {
    if (/^\d/u.test(name)) {
      return new MigrationError(
        "BAD_PARAMETER",
        "Parameter 'fdname' expects a name not starting with a digit",
      );
    }
    if (this.#descriptors.size < MAX_DESCRIPTORS || this.#descriptors.has(name)) return undefined;
    return new MigrationError(
      "LIMIT_EXCEEDED",
      `There are ${MAX_DESCRIPTORS} named file descriptors already: close one with closefd`,
    );
  }
}
