import { BinaryReader } from "./binary.ts";
import type { WasmModule } from "./module.ts";

const FUNCTION_NAMES = 1;
const LONGEST_NAME = 200;

/** A function as a person knows it: its index, and its name where the module tells it. */
export function describeFunction(module: WasmModule, index: number): string {
  const name = module.names === undefined ? undefined : findName(module.names, index);
  return name === undefined ? `function ${index}` : `function ${index} ${JSON.stringify(name)}`;
}

/** Reads the name section. The engine does not validate it: one that is damaged names nothing. */
function findName(section: Uint8Array, wanted: number): string | undefined {
  const reader = new BinaryReader(section);
  reader.name();
  while (reader.position < section.length) {
    const kind = reader.u8();
    const size = reader.u32();
    const end = reader.position + size;
    if (kind === FUNCTION_NAMES) {
      for (let left = reader.u32(); left > 0 && reader.position < section.length; left--) {
        const index = reader.u32();
        const name = reader.name();
        if (index === wanted && reader.position <= section.length) return name.slice(0, LONGEST_NAME);
      }
      return undefined;
    }
    reader.position = end;
  }
  return undefined;
}
