/** The part of the JavaScript interface of WebAssembly that is used here; the compiler knows it only together with the DOM. */
declare namespace WebAssembly {
  type ExportValue = ((...args: never[]) => unknown) | Table | Memory | Tag | Global;
  type Exports = Readonly<Record<string, ExportValue>>;
  type ModuleImports = Record<string, unknown>;

  class Module {
    constructor(bytes: Uint8Array);
    static imports(
      module: Module,
    ): { readonly module: string; readonly name: string; readonly kind: string }[];
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, ModuleImports>);
    readonly exports: Exports;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    /** Another object after the memory grew. */
    readonly buffer: ArrayBufferLike;
    /** @param pages of 64 KiB. @returns how many there were. */
    grow(pages: number): number;
  }
  class Table {
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value: unknown): void;
    grow(entries: number): number;
  }
  class Global {
    value: unknown;
  }
  class Tag {
    constructor(type: { parameters: string[] });
    private readonly isTag: true;
  }
  class Exception {
    constructor(tag: Tag, payload: unknown[]);
    is(tag: Tag): boolean;
  }

  function compile(bytes: Uint8Array): Promise<Module>;
  function validate(bytes: Uint8Array): boolean;
}
