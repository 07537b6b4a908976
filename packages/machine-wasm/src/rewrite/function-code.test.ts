import { describe, expect, it } from "vitest";
import { rewriteForTest, runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";

/** A command whose loop stores what it loads, of numbers and of vectors. `nop`s leave room in front of each access. */
const ACCESSES = wat(`(module (memory (export "memory") 1)
  (data (i32.const 40) "0123456789abcdefghijklmnopqrstuvwxyz")
  (func (export "_start") (local $i i32)
    (loop $l
      (local.get $i)
      (local.get $i) nop nop nop nop (i32.load16_u offset=40)
      nop nop nop nop (i32.store offset=4099)
      (local.get $i)
      (local.get $i) nop nop nop nop (v128.load offset=44)
      nop nop nop nop (v128.store offset=8201)
      (local.get $i)
      (local.get $i) (v128.const i64x2 1 2) nop nop nop nop (v128.load16_lane offset=41 3)
      nop nop nop nop (v128.store64_lane offset=12300 0)
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 9))))))`);

const NOP = 0x01;
const ROOM = [NOP, NOP, NOP, NOP];

/** The opcodes of those accesses, each with its alignment. */
const OPCODES = [
  [0x2f, 1],
  [0x36, 2],
  [0xfd, 0, 4],
  [0xfd, 11, 4],
  [0xfd, 85, 1],
  [0xfd, 91, 3],
] as const;

/** Writes all accesses in another form, with what is left of the room behind the operand before them. */
function withAlignments(form: (alignment: number) => readonly number[]): Uint8Array {
  const bytes = Buffer.from(ACCESSES);
  for (const access of OPCODES) {
    const opcode = access.slice(0, -1);
    const at = bytes.indexOf(Uint8Array.from([...ROOM, ...access]));
    const code = [...opcode, ...form(access.at(-1)!)];
    const room = Array.from({ length: ROOM.length + access.length - code.length }, () => NOP);
    bytes.set([...room, ...code], at);
  }
  return Uint8Array.from(bytes);
}

describe("the alignment of an access", () => {
  it.each<[string, (alignment: number) => readonly number[]]>([
    ["with the memory named", (alignment) => [alignment | 0x40, 0]],
    ["with the memory named in several bytes", (alignment) => [alignment | 0x40, 0x80, 0x80, 0]],
    ["of several bytes", (alignment) => [alignment | 0x80, 0x80, 0]],
    ["of several bytes, with the memory named", (alignment) => [alignment | 0xc0, 0x80, 0, 0x80, 0]],
  ])("is understood %s", (_, form) => {
    const bytes = withAlignments(form);
    const expected = runPlain(bytes);
    expect(expected).toEqual(runPlain(ACCESSES));
    const actual = runDisturbed(bytes);
    expect(actual).toMatchObject({ end: "finished", missedPages: 0 });
    expect(Buffer.compare(actual.memory, expected.memory)).toBe(0);
    expect(actual.unwinds).toBeGreaterThan(5);
  });
});

/** A command that begins with these instructions. */
function commandOf(...code: readonly number[]): Uint8Array {
  const bytes = wat(`(module (memory (export "memory") 1) (func (export "_start")))`);
  const section = bytes.lastIndexOf(10);
  const body = [0, ...code, 0x0b];
  return Uint8Array.from([...bytes.subarray(0, section), 10, body.length + 2, 1, body.length, ...body]);
}

const [BLOCK, END, DROP, REF_NULL, FUNC, EXTERN] = [0x02, 0x0b, 0x1a, 0xd0, 0x70, 0x6f];

describe("references other than those to functions and to the host's objects", () => {
  it.each<[string, ...number[]]>([
    ["a block of (ref null func)", BLOCK, 0x63, FUNC, REF_NULL, FUNC, END, DROP],
    ["a loop of anyref", 0x03, 0x6e, REF_NULL, 0x6e, END, DROP],
    ["a block of exnref", BLOCK, 0x69, REF_NULL, 0x69, END, DROP],
    ["a null of a type of the module", REF_NULL, 0, DROP],
    ["a null of a type of the module, in two bytes", REF_NULL, 0x80, 0, DROP],
    ["a null of anyref", REF_NULL, 0x6e, DROP],
  ])("are refused: %s", (_, ...code) => {
    const bytes = commandOf(...code);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(() => rewriteForTest(bytes)).toThrow(
      expect.objectContaining({
        code: "UNSUPPORTED_FEATURE",
        message: expect.stringMatching(/typed references \(function 0, offset 0x.*--no-migrate/u) as string,
      }),
    );
  });

  it("but those two are not, in any form", () => {
    for (const code of [
      [BLOCK, FUNC, REF_NULL, FUNC, END, DROP],
      [BLOCK, EXTERN, REF_NULL, EXTERN, END, DROP],
      [REF_NULL, 0xf0, 0x7f, DROP],
      [BLOCK, 0xc0, 0x7f, END],
    ]) {
      const bytes = commandOf(...code);
      expect(runDisturbed(bytes)).toMatchObject({ end: "finished" });
    }
  });
});
