import { expect, it } from "vitest";
import { BinaryWriter } from "./binary.ts";
import { parseModule } from "./module.ts";

const I32 = 0x7f;
const END = 0x0b;
const GET = 0x23;
const ADD = 0x6a;
const CONST = 0x41;

/** Globals of which each is the one before and that again, and a segment at the address in the last one. */
function doubled(globals: number): Uint8Array {
  const section = new BinaryWriter().u32(globals);
  section.u8(I32).u8(0).u8(CONST).s32(3).u8(END);
  for (let index = 1; index < globals; index++) {
    section.u8(I32).u8(0);
    section
      .u8(GET)
      .u32(index - 1)
      .u8(GET)
      .u32(index - 1)
      .u8(ADD)
      .u8(END);
  }
  const data = new BinaryWriter()
    .u32(1)
    .u32(0)
    .u8(GET)
    .u32(globals - 1)
    .u8(END);
  data.u32(1).u8(7);
  return new BinaryWriter()
    .raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
    .u8(5)
    .sized(new BinaryWriter().u32(1).u8(0).u32(1))
    .u8(6)
    .sized(section)
    .u8(11)
    .sized(data)
    .take();
}

it("an address from globals that refer to each other is worked out once for each of them", () => {
  for (const globals of [1, 2, 10, 31, 40, 20_000]) {
    const bytes = doubled(globals);
    expect(WebAssembly.validate(bytes)).toBe(true);
    const { data } = parseModule(bytes);
    expect(data[0]?.address).toBe(Number((3n << BigInt(globals - 1)) & 0xffff_ffffn));
  }
});
