import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { BLOCKING_IMPORTS, SUPPORTED_IMPORTS } from "@peregrine/machine-wasm";
import { rewrite } from "../../packages/machine-wasm/src/rewrite/rewrite.ts";
import { mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { hostileModule } from "./hostile-module.ts";

const GUESTS = ["torture", "recursion", "console", "drive"];
const MIB = 2 ** 20;

const OPTIONS = {
  supportedImports: SUPPORTED_IMPORTS,
  blockingImports: BLOCKING_IMPORTS,
  releaseMarks: false,
};

/** Offsets at which sections begin, and function bodies, as far as one can tell without parsing. */
function endsOf(bytes: Uint8Array): readonly (readonly number[])[] {
  const ends: number[] = [];
  let at = 8;
  while (at < bytes.length) {
    ends.push(at);
    let size = 0;
    let shift = 0;
    at++;
    for (let byte = 0x80; byte >= 0x80 && at < bytes.length; shift += 7) {
      byte = bytes[at++]!;
      size |= (byte & 0x7f) << shift;
    }
    at += size >>> 0;
  }
  return [ends, [bytes.length]];
}

/** Programs that the engine takes are rewritten to what it takes, too, or refused for what they use. */
export function rewriterProperty(allocations: Allocations): fc.IPropertyWithHooks<unknown> {
  const guests = GUESTS.map((name) => {
    const path = new URL(`../../examples/guests/${name}.wasm`, import.meta.url);
    const bytes = new Uint8Array(readFileSync(path));
    return { name, bytes, ends: endsOf(bytes) };
  });
  const changed = fc
    .tuple(fc.nat(guests.length - 1), mutations)
    .map(([index, changes]) => mutate(guests[index]!, changes, guests));
  const made = fc
    .tuple(
      hostileModule,
      fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
    )
    .map(([bytes, changes]) => mutate({ name: "made", bytes, ends: endsOf(bytes) }, changes));
  return fc.property(
    fc.oneof({ weight: 1, arbitrary: changed }, { weight: 6, arbitrary: made }),
    fc.boolean(),
    (bytes, releaseMarks) => {
      // Nothing is rewritten that the engine has not found valid.
      if (!WebAssembly.validate(bytes)) return;
      allocations.reset();
      try {
        const { plain, tracked } = rewrite(bytes, { ...OPTIONS, releaseMarks });
        require(WebAssembly.validate(plain), "a rewritten program that is not valid");
        require(WebAssembly.validate(tracked), "a tracked program that is not valid");
      } catch (error) {
        require(requireKnownCode(error).code ===
          "UNSUPPORTED_FEATURE", "a program refused for something else");
      }
      require(allocations.largest <= 4 * MIB + 64 * bytes.length, `${allocations.largest} bytes at once`);
    },
  );
}
