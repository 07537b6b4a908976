/** Turns the source of the kernel into `src/harvest-module.ts`: `node packages/machine-wasm/kernels/build.ts`. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { wat } from "../test/wat.ts";

const LINE = /.{1,110}/g;

export const HARVEST_MODULE_FILE = fileURLToPath(new URL("../src/harvest-module.ts", import.meta.url));

/** What {@link HARVEST_MODULE_FILE} has to be. */
export function renderHarvestModule(): string {
  const source = readFileSync(new URL("harvest.wat", import.meta.url), "utf8");
  const bytes = wat(source);
  if (!WebAssembly.validate(bytes)) throw new Error("harvest.wat is no valid module");
  const lines = Buffer.from(bytes).toString("base64").match(LINE) ?? [];
  return [
    "// Made from `packages/machine-wasm/kernels/harvest.wat` by `node packages/machine-wasm/kernels/build.ts`.",
    "",
    "/** `harvest.wat` as a module, in base64. */",
    "export const HARVEST_MODULE = [",
    ...lines.map((line) => `  "${line}",`),
    `].join("");`,
    "",
  ].join("\n");
}

if (import.meta.main) writeFileSync(HARVEST_MODULE_FILE, renderHarvestModule());
