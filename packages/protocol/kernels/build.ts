/** Turns the sources of the kernels into `src/kernels/modules.ts`: `node packages/protocol/kernels/build.ts`. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import wabt from "wabt";

const FEATURES = { simd: true, bulk_memory: true, multi_memory: true, threads: true };
/** `;; include copy.wat`, also with a name of the included text that means another one here: `, $pages is $work`. */
const INCLUDE = /^ *;; include ([^\s,]+)(?:, (\$\w+) is (\$\w+))?\n/gm;
const LINE = 110;

export const KERNEL_MODULES = fileURLToPath(new URL("../src/kernels/modules.ts", import.meta.url));

/** The text of a source beside this file, with what it includes. */
function source(name: string): string {
  const text = readFileSync(new URL(name, import.meta.url), "utf8");
  return text.replace(INCLUDE, (_line, included: string, theirs?: string, ours?: string) => {
    const inner = source(included);
    return theirs === undefined || ours === undefined ? inner : inner.replaceAll(theirs, () => ours);
  });
}

async function assemble(name: string): Promise<Uint8Array> {
  const module = (await wabt()).parseWat(name, source(name), FEATURES);
  try {
    module.resolveNames();
    const bytes = module.toBinary({}).buffer;
    if (!WebAssembly.validate(bytes)) throw new Error(`${name} is no valid module`);
    return bytes;
  } finally {
    module.destroy();
  }
}

function constant(name: string, what: string, bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString("base64");
  const lines = text.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  return [
    "",
    `/** ${what} */`,
    `export const ${name} = [`,
    ...lines.map((line) => `  "${line}",`),
    `].join("");`,
  ];
}

/** What {@link KERNEL_MODULES} has to be. */
export async function renderKernelModules(): Promise<string> {
  return [
    "// Made from the sources in `packages/protocol/kernels` by `node packages/protocol/kernels/build.ts`.",
    ...constant("PAGES_MODULE", "`pages.wat` as a module, in base64.", await assemble("pages.wat")),
    ...constant("GUEST_MODULE", "`guest.wat` as a module, in base64.", await assemble("guest.wat")),
    ...constant("DELTAS_MODULE", "`deltas.wat` as a module, in base64.", await assemble("deltas.wat")),
    "",
  ].join("\n");
}

if (import.meta.main) writeFileSync(KERNEL_MODULES, await renderKernelModules());
