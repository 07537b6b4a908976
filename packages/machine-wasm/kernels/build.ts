/** Turns the sources of the kernels into `src/kernel-modules.ts`: `node packages/machine-wasm/kernels/build.ts`. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { wat } from "../test/wat.ts";

const LINE = /.{1,110}/g;

export const KERNEL_MODULES_FILE = fileURLToPath(new URL("../src/kernel-modules.ts", import.meta.url));

function constant(name: string, source: string): string[] {
  const bytes = wat(readFileSync(new URL(source, import.meta.url), "utf8"));
  if (!WebAssembly.validate(bytes)) throw new Error(`${source} is no valid module`);
  const lines = Buffer.from(bytes).toString("base64").match(LINE) ?? [];
  return [
    "",
    `/** \`${source}\` as a module, in base64. */`,
    `export const ${name} = [`,
    ...lines.map((line) => `  "${line}",`),
    `].join("");`,
  ];
}

/** What {@link KERNEL_MODULES_FILE} has to be. */
export function renderKernelModules(): string {
  return [
    "// Made from the sources in `packages/machine-wasm/kernels` by `node packages/machine-wasm/kernels/build.ts`.",
    ...constant("HARVEST_MODULE", "harvest.wat"),
    ...constant("GUEST_COPY_MODULE", "guest-copy.wat"),
    "",
  ].join("\n");
}

if (import.meta.main) writeFileSync(KERNEL_MODULES_FILE, renderKernelModules());
