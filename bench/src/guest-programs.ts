import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A program whose speed is measured, with a size that makes it run for one to three seconds. */
export interface GuestProgram {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Directories for it: what they are called in the guest, and the folder of the examples, or an empty one. */
  readonly directories: readonly { readonly guest: string; readonly source: string | undefined }[];
}

const EXAMPLES = fileURLToPath(new URL("../../examples/guests/", import.meta.url));
const KERNELS = fileURLToPath(new URL("../guests/", import.meta.url));

const example = (
  name: string,
  module: string,
  args: readonly string[],
  directories: GuestProgram["directories"] = [],
): GuestProgram => ({ name, file: `${EXAMPLES}${module}.wasm`, args, directories });

const kernel = (name: string, args: readonly string[] = []): GuestProgram => ({
  name,
  file: `${KERNELS}${name}.wasm`,
  args,
  directories: [],
});

const scripts = [{ guest: "/scripts", source: `${EXAMPLES}scripts` }];

/** The guests of the examples that compute, and the kernels beside this package. */
export const PROGRAMS: readonly GuestProgram[] = [
  example("numeric-f64", "numeric", ["f64"]),
  example("numeric-i64", "numeric", ["i64", "--rounds", "220"]),
  example("numeric-simd", "numeric-simd", ["f64", "--rounds", "250"]),
  example("recursion", "recursion", ["--depth", "10000", "--rounds", "8"]),
  example("lua-workload", "lua", ["/scripts/workload.lua", "100"], scripts),
  example("lua-mandelbrot", "lua", ["/scripts/mandelbrot.lua", "60", "25000"], scripts),
  example(
    "sqlite",
    "sqlite",
    ["workload", "/data/sales.db", "--rounds", "90"],
    [{ guest: "/data", source: undefined }],
  ),
  example("rust", "rust", ["60"]),
  kernel("core"),
  kernel("deep", ["10000", "25"]),
  kernel("floyd"),
  kernel("gemm"),
  kernel("hash"),
  kernel("jacobi"),
  kernel("sha"),
  kernel("sort"),
];

export function programNamed(name: string): GuestProgram {
  const program = PROGRAMS.find((each) => each.name === name);
  if (program === undefined) throw new Error(`there is no program '${name}'`);
  return program;
}

export const moduleOf = ({ file }: GuestProgram): Uint8Array => readFileSync(file);
