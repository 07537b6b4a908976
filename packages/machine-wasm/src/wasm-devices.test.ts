import { ByteReader, ByteWriter } from "@peregrine/protocol";
import { StateDecoder } from "@peregrine/shared-state";
import { expect, test } from "vitest";
import { WASM_CPU, WASM_MODULE } from "./wasm-devices.ts";

const MIB = 2 ** 20;

test.each([
  [
    "program",
    WASM_MODULE,
    256 * MIB,
    (w: ByteWriter): void => {
      w.be32(1);
      w.be32(1);
      w.be32(1);
      w.bytes(new Uint8Array(32));
      w.be16(0);
    },
  ],
  ["call stack", WASM_CPU, 256 * MIB, (w: ByteWriter): void => w.be32(1)],
] as const)("a %s that is too long is refused when its length has come", (_, description, most, head) => {
  const writer = new ByteWriter();
  head(writer);
  writer.be32(most + 1);
  const reader = new ByteReader();
  reader.push(writer.view());
  expect(() => new StateDecoder(description).decode(reader)).toThrow(
    expect.objectContaining({ code: "LIMIT_EXCEEDED", message: expect.stringContaining(`limit of ${most}`) }),
  );
});
