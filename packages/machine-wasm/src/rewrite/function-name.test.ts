import { describe, expect, it } from "vitest";
import { rewriteForTest } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";
import { BinaryWriter } from "./binary.ts";

/** Refused for its second function. */
const module = wat(`(module (memory (export "memory") 1) (func (export "_start"))
  (func (drop (i32.atomic.load (i32.const 0)))))`);

function withNames(functionNames: readonly (readonly [number, string])[]): Uint8Array {
  const map = new BinaryWriter().u32(functionNames.length);
  for (const [index, name] of functionNames) map.u32(index).name(name);
  const moduleName = new BinaryWriter().name("m");
  const section = new BinaryWriter().name("name").u8(0).sized(moduleName).u8(1).sized(map);
  return new BinaryWriter().raw(module).u8(0).sized(section).take();
}

const refusal = (bytes: Uint8Array): string => {
  try {
    rewriteForTest(bytes);
  } catch (error) {
    return (error as Error).message;
  }
  return "not refused";
};

describe("the refusal of a function", () => {
  it("names it where the module does", () => {
    const names = [
      [0, "main"],
      [1, 'lock "x"\n'],
    ] as const;
    expect(refusal(withNames(names))).toContain(String.raw`function 1 "lock \"x\"\n", offset 0x`);
    expect(refusal(withNames([[0, "main"]]))).toContain("(function 1, offset 0x");
    expect(refusal(module)).toContain("(function 1, offset 0x");
  });

  it("does without a name section that is damaged", () => {
    const bytes = withNames([[1, "lock"]]);
    for (let at = module.length + 2; at < bytes.length; at++) {
      for (const value of [0x00, 0x7f, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] = value;
        if (!WebAssembly.validate(damaged)) continue;
        expect(refusal(damaged)).toMatch(/atomic instructions .* \(function 1.*offset 0x/);
      }
    }
  });
});
