import wabt from "wabt";

const features = {
  multi_value: true,
  simd: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  sign_extension: true,
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  threads: true,
  multi_memory: true,
  relaxed_simd: true,
};

const assembler = await wabt();

/** Assembles a module in the text format. */
export function wat(text: string): Uint8Array {
  const module = assembler.parseWat("test.wat", text, features);
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}
