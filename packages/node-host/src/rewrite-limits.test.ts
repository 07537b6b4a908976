import { MigrationError } from "@peregrine/protocol";
import { describe, expect, it } from "vitest";
import { BinaryWriter } from "../../machine-wasm/src/rewrite/binary.ts";
import { rewriteInWorker } from "./prepare-program.ts";

const bytes = (): BinaryWriter => new BinaryWriter();

/** A command with `functions` that have so many locals, and a body of `code`. */
function command(functions: number, locals: number, code: Uint8Array): Uint8Array {
  const body = bytes().u32(locals === 0 ? 0 : 1);
  if (locals > 0) body.u32(locals).u8(0x7f);
  body.raw(code).u8(0x0b);
  const bodies = bytes().u32(functions);
  for (let n = 0; n < functions; n++) bodies.sized(body);
  const indexes = bytes().u32(functions);
  for (let n = 0; n < functions; n++) indexes.u32(0);
  return bytes()
    .raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
    .u8(1)
    .sized(
      bytes()
        .u32(1)
        .raw(Uint8Array.of(0x60, 0, 0)),
    )
    .u8(3)
    .sized(indexes)
    .u8(5)
    .sized(bytes().u32(1).u8(0).u32(1))
    .u8(7)
    .sized(bytes().u32(1).name("_start").u8(0).u32(0))
    .u8(10)
    .sized(bodies)
    .take();
}

async function refusal(promise: Promise<unknown>): Promise<MigrationError> {
  const error: unknown = await promise.then(
    () => expect.fail("it was rewritten"),
    (cause: unknown) => cause,
  );
  if (!MigrationError.is(error)) throw error;
  return error;
}

/** So many calls, in a function that can be left at each of them. */
function calls(count: number): Uint8Array {
  const loop = [0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0b];
  return Uint8Array.from([
    ...loop,
    ...Array.from({ length: 2 * count }, (_, at) => (at % 2 === 0 ? 0x10 : 0)),
  ]);
}

describe("to rewrite a program", () => {
  it("takes no more memory than programs of its size need, though it has locals without end", async () => {
    // Some KB, of which more than a GB of objects would be made.
    const module = command(8000, 50_000, new Uint8Array(0));
    expect(module.length).toBeLessThan(70_000);
    const error = await refusal(
      rewriteInWorker({ module, releaseMarks: false }, { seconds: 60, mebibytes: 64 }),
    );
    expect(error).toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: expect.stringContaining("MiB of memory"),
    });
  });

  it("takes no more memory outside of objects, either", async () => {
    // What is live at each of its calls takes 6 KB. To rewrite all of it would take much longer than this thread may stand still.
    const task = { module: command(10, 50_000, calls(50_000)), releaseMarks: false };
    const error = await refusal(rewriteInWorker(task, { seconds: 60, mebibytes: 100 }));
    expect(error).toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: expect.stringContaining("100 MiB of memory"),
    });
  });

  it("takes no more time", async () => {
    const task = { module: command(40, 2000, calls(50_000)), releaseMarks: false };
    const error = await refusal(rewriteInWorker(task, { seconds: 0.05, mebibytes: 4096 }));
    expect(error).toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: expect.stringContaining("more than 0.05 s"),
    });
  });
});
