import { BinaryWriter } from "./binary.ts";
import { CONTROL } from "./control-layout.ts";
import { HOST } from "./host-names.ts";
import { type FunctionType, SECTION, type WasmModule } from "./module.ts";
import { FUNCREF, op } from "./opcodes.ts";

const MEMORY_LIMIT_PAGES = 65536;
const KIND = { function: 0, table: 1, memory: 2, global: 3, tag: 4 } as const;

export interface AddedFunction {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface Assembly {
  readonly module: WasmModule;
  readonly types: readonly FunctionType[];
  /** Bodies of the functions that the module defines, by definition order. */
  readonly bodies: readonly Uint8Array[];
  readonly added: readonly AddedFunction[];
  readonly unwindType: number;
  /** Function indexes for the table of resume copies, by ordinal. */
  readonly resumeTable: readonly number[];
  readonly exports: readonly { readonly name: string; readonly kind: number; readonly index: number }[];
  /** The masks of all sites, which are a data segment behind those that are kept. */
  readonly masks: readonly Uint8Array[];
}

/** How many data segments of a module its rewritten one keeps: where it has no count of them, no code names any. */
export const keptSegments = (module: WasmModule): number => (module.hasDataCount ? module.data.length : 0);

/** Largest memory the guest can have, in 64 KiB pages. */
export const maximumPages = (module: WasmModule): number =>
  Math.min(module.memory.maximum ?? MEMORY_LIMIT_PAGES, MEMORY_LIMIT_PAGES);

/** Writes the rewritten module: sections that changed are encoded, the rest is copied. */
export function assemble(assembly: Assembly): Uint8Array {
  const { module } = assembly;
  const out = new BinaryWriter(module.bytes.length * 2);
  out.raw(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  const section = (id: number, build: (body: BinaryWriter) => void): void => {
    const body = new BinaryWriter(4096);
    build(body);
    out.u8(id).sized(body);
  };
  section(SECTION.type, (body) => {
    body.u32(assembly.types.length);
    for (const { params, results } of assembly.types) {
      body.u8(0x60).u32(params.length).raw(Uint8Array.from(params));
      body.u32(results.length).raw(Uint8Array.from(results));
    }
  });
  section(SECTION.import, (body) => {
    body.u32(module.imports.length + 3);
    for (const item of module.imports)
      body.name(item.module).name(item.name).u8(KIND.function).u32(item.type);
    const shared = 3;
    body.name(HOST.module).name(HOST.memory).u8(KIND.memory).u8(shared);
    body.u32(module.memory.minimum).u32(maximumPages(module));
    body.name(HOST.module).name(HOST.control).u8(KIND.memory).u8(shared);
    body.u32(CONTROL.initialPages).u32(CONTROL.maximumPages);
    body.name(HOST.module).name(HOST.unwind).u8(KIND.tag).u8(0).u32(assembly.unwindType);
  });
  section(SECTION.function, (body) => {
    body.u32(module.functions.length + assembly.added.length);
    for (const type of module.functions) body.u32(type);
    for (const { type } of assembly.added) body.u32(type);
  });
  section(SECTION.table, (body) => {
    body.u32(module.tables.length + 1);
    for (const table of module.tables) body.raw(table.bytes);
    const size = assembly.resumeTable.length;
    body.u8(FUNCREF).u8(1).u32(size).u32(size);
  });
  if (module.globals.length > 0)
    section(SECTION.global, (body) => {
      body.u32(module.globals.length);
      for (const global of module.globals)
        body
          .u8(global.type)
          .u8(global.mutable ? 1 : 0)
          .raw(global.init);
    });
  section(SECTION.export, (body) => {
    body.u32(module.exports.length + assembly.exports.length);
    for (const item of [...module.exports, ...assembly.exports])
      body.name(item.name).u8(item.kind).u32(item.index);
  });
  section(SECTION.element, (body) => {
    body.u32(module.elements.count + 1).raw(module.elements.bytes);
    const activeInTable = 2;
    body.u32(activeInTable).u32(module.tables.length).u8(op.i32Const).s32(0).u8(op.end).u8(KIND.function);
    body.u32(assembly.resumeTable.length);
    for (const index of assembly.resumeTable) body.u32(index);
  });
  section(SECTION.dataCount, (body) => body.u32(keptSegments(module) + 1));
  section(SECTION.code, (body) => {
    body.u32(assembly.bodies.length + assembly.added.length);
    for (const code of assembly.bodies) body.u32(code.length).raw(code);
    for (const { body: code } of assembly.added) body.u32(code.length).raw(code);
  });
  // Active segments are written by the host, once. They stay as empty passive ones: memory.init on them traps as before.
  section(SECTION.data, (body) => {
    const passive = 1;
    const kept = keptSegments(module);
    body.u32(kept + 1);
    for (const { address, bytes } of module.data.slice(0, kept)) {
      const rest = address === undefined ? bytes : bytes.subarray(0, 0);
      body.u32(passive).u32(rest.length).raw(rest);
    }
    body.u32(passive).u32(assembly.masks.reduce((sum, { length }) => sum + length, 0));
    for (const masks of assembly.masks) body.raw(masks);
  });
  return out.take();
}

export const exportedFunction = (name: string, index: number): Assembly["exports"][number] => ({
  name,
  kind: KIND.function,
  index,
});
export const exportedTable = (name: string, index: number): Assembly["exports"][number] => ({
  name,
  kind: KIND.table,
  index,
});
