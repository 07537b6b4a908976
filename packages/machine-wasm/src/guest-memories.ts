import { MigrationError, tooMuchRam } from "@peregrine/protocol";
import { maximumPages } from "./rewrite/assemble.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import { parseModule } from "./rewrite/module.ts";
import { allocateMemory } from "./wasm-ram.ts";

const WASM_PAGE = 65536;

/** The memories of a guest, and how large its own may become. */
export interface GuestMemories {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
  /** Bytes that the program allows. */
  readonly maximumBytes: number;
  /** Bytes that it can have on this host, where that is less. */
  readonly mostBytes: number;
}

/**
 * Makes the memories that a program needs. What is never used of them costs nothing.
 * @param bytes the module, which the engine has validated.
 * @param arrivingPages of a guest that arrives: what its memory has already.
 * @param acceptedBytes of memory that it may have here, now and later.
 * Errors: UNSUPPORTED_FEATURE; DEVICE_STATE when the program does not allow so many pages; LIMIT_EXCEEDED when this side
 * does not.
 */
export function makeMemories(
  bytes: Uint8Array,
  arrivingPages: number | undefined,
  acceptedBytes: number,
): GuestMemories {
  const module = parseModule(bytes);
  const maximum = maximumPages(module);
  if (arrivingPages !== undefined && arrivingPages > maximum)
    throw new MigrationError(
      "DEVICE_STATE",
      `The guest's memory cannot have ${arrivingPages} pages: the program allows ${maximum}`,
    );
  const initial = Math.max(module.memory.minimum, arrivingPages ?? 0);
  const most = Math.min(maximum, Math.floor(acceptedBytes / WASM_PAGE));
  if (initial > most) throw tooMuchRam(initial * WASM_PAGE, acceptedBytes);
  return {
    // The module says how far it may grow; one that can grow less fits it, too. The guest sees that it cannot.
    memory: allocateMemory(initial, most),
    control: allocateMemory(CONTROL.initialPages, CONTROL.maximumPages),
    maximumBytes: maximum * WASM_PAGE,
    mostBytes: most * WASM_PAGE,
  };
}
