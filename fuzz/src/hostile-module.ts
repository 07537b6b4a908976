import * as fc from "fast-check";
import { BinaryWriter } from "../../packages/machine-wasm/src/rewrite/binary.ts";

/**
 * Modules that are valid, or nearly so, and made to be hard: many locals, deep blocks, large tables, globals that refer to
 * each other, segments of all forms, names that are damaged. Bodies balance their stacks, so that most are taken by the
 * engine.
 */

const I32 = 0x7f;
const VALUE_TYPES = [0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f];
const IMPORTS = ["fd_write", "fd_read", "poll_oneoff", "proc_exit", "sched_yield", "no_such_call"];

const END = 0x0b;
const w = (): BinaryWriter => new BinaryWriter(64);

/** A constant of any type, as code. */
function zero(type: number): Uint8Array {
  switch (type) {
    case 0x7f:
      return Uint8Array.of(0x41, 0);
    case 0x7e:
      return Uint8Array.of(0x42, 0);
    case 0x7d:
      return Uint8Array.of(0x43, 0, 0, 0, 0);
    case 0x7c:
      return Uint8Array.of(0x44, 0, 0, 0, 0, 0, 0, 0, 0);
    case 0x7b:
      return Uint8Array.of(0xfd, 0x0c, ...new Uint8Array(16));
    default:
      return Uint8Array.of(0xd0, type);
  }
}

interface Shape {
  readonly types: readonly { readonly params: readonly number[]; readonly results: readonly number[] }[];
  readonly imports: readonly { readonly name: string; readonly type: number }[];
  readonly functions: readonly FunctionShape[];
  readonly table: { readonly minimum: number; readonly maximum: number | undefined } | undefined;
  readonly memory: { readonly minimum: number; readonly maximum: number | undefined };
  /** How many globals of which each adds the one before to itself. */
  readonly chain: number;
  readonly mutableGlobals: readonly number[];
  readonly start: boolean;
  readonly elements: readonly number[];
  readonly data: readonly { readonly form: number; readonly length: number }[];
  readonly names: Uint8Array | undefined;
}

interface FunctionShape {
  readonly type: number;
  readonly locals: readonly { readonly count: number; readonly type: number }[];
  readonly statements: readonly Statement[];
}

/** `what` decides what is emitted; the numbers are taken modulo what there is. */
interface Statement {
  readonly what: number;
  readonly number: number;
  readonly times: number;
  readonly inner: readonly Statement[];
}

const any = fc.nat(1000);
const statement: fc.Arbitrary<Statement> = fc.letrec<{ one: Statement }>((tie) => ({
  one: fc.record({
    what: fc.nat(21),
    number: any,
    times: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(200) }),
    inner: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constant([]),
      fc.array(tie("one"), { maxLength: 3 }),
    ),
  }),
})).one;

const shape: fc.Arbitrary<Shape> = fc.record({
  types: fc.array(
    fc.record({
      params: fc.array(fc.constantFrom(...VALUE_TYPES), { maxLength: 4 }),
      results: fc.array(fc.constantFrom(...VALUE_TYPES), { maxLength: 3 }),
    }),
    { maxLength: 4 },
  ),
  imports: fc.array(fc.record({ name: fc.constantFrom(...IMPORTS), type: any }), { maxLength: 3 }),
  functions: fc.array(
    fc.record({
      type: any,
      locals: fc.array(
        fc.record({
          count: fc.oneof({ weight: 6, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(20_000) }),
          type: fc.constantFrom(...VALUE_TYPES),
        }),
        { maxLength: 3 },
      ),
      statements: fc.array(statement, { maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  table: fc.option(
    fc.record({
      minimum: fc.oneof({ weight: 6, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(10_000_000) }),
      maximum: fc.constant(undefined),
    }),
    { nil: undefined },
  ),
  memory: fc.record({
    minimum: fc.nat(3),
    maximum: fc.option(fc.integer({ min: 3, max: 65_536 }), { nil: undefined }),
  }),
  chain: fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(3000) }),
  mutableGlobals: fc.array(fc.constantFrom(...VALUE_TYPES), { maxLength: 3 }),
  start: fc.boolean(),
  elements: fc.array(fc.nat(7), { maxLength: 3 }),
  data: fc.array(fc.record({ form: fc.nat(3), length: fc.nat(50) }), { maxLength: 4 }),
  names: fc.option(fc.uint8Array({ maxLength: 60 }), { nil: undefined }),
});

export const hostileModule: fc.Arbitrary<Uint8Array> = shape.map(assemble);

function assemble(given: Shape): Uint8Array {
  const types = [{ params: [], results: [] }, ...given.types];
  const typeOf = (number: number): number => number % types.length;
  const functions = [{ type: 0, locals: [], statements: given.functions[0]!.statements }, ...given.functions];
  const imported = given.imports.length;
  const out = w().raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  const section = (id: number, count: number, build: (body: BinaryWriter) => void): void => {
    if (count === 0) return;
    const body = w().u32(count);
    build(body);
    out.u8(id).sized(body);
  };
  section(1, types.length, (body) => {
    for (const { params, results } of types) {
      body.u8(0x60).u32(params.length).raw(Uint8Array.from(params));
      body.u32(results.length).raw(Uint8Array.from(results));
    }
  });
  section(2, imported, (body) => {
    for (const { name, type } of given.imports)
      body.name("wasi_snapshot_preview1").name(name).u8(0).u32(typeOf(type));
  });
  section(3, functions.length, (body) => {
    for (const { type } of functions) body.u32(typeOf(type));
  });
  const { table, memory } = given;
  if (table !== undefined) section(4, 1, (body) => body.u8(0x70).u8(0).u32(table.minimum));
  section(5, 1, (body) => {
    if (memory.maximum === undefined) body.u8(0).u32(memory.minimum);
    else body.u8(1).u32(memory.minimum).u32(memory.maximum);
  });
  section(6, given.chain + given.mutableGlobals.length, (body) => {
    for (let index = 0; index < given.chain; index++) {
      body.u8(I32).u8(0);
      if (index === 0) body.raw(zero(I32)).u8(END);
      else
        body
          .u8(0x23)
          .u32(index - 1)
          .u8(0x23)
          .u32(index - 1)
          .u8(0x6a)
          .u8(END);
    }
    for (const type of given.mutableGlobals) body.u8(type).u8(1).raw(zero(type)).u8(END);
  });
  section(7, 2, (body) => body.name("_start").u8(0).u32(imported).name("memory").u8(2).u32(0));
  if (given.start) out.u8(8).sized(w().u32(imported));
  const forms = table === undefined ? [] : given.elements;
  section(9, forms.length, (body) => {
    for (const form of forms) element(body, form, imported);
  });
  if (given.data.length > 0) out.u8(12).sized(w().u32(given.data.length));
  section(10, functions.length, (body) => {
    const context: Context = {
      given,
      imported,
      functions: imported + functions.length,
      signature: (index) => {
        const type = index < imported ? given.imports[index]!.type : functions[index - imported]!.type;
        return types[typeOf(type)]!;
      },
    };
    for (const one of functions) body.sized(functionBody(context, one, types[typeOf(one.type)]!));
  });
  section(11, given.data.length, (body) => {
    for (const { form, length } of given.data) {
      if (form === 1) body.u32(1);
      else if (form === 0 || given.chain === 0) body.u32(0).raw(zero(I32)).u8(END);
      else
        body
          .u32(0)
          .u8(0x23)
          .u32(given.chain - 1)
          .u8(END);
      body.u32(length).raw(new Uint8Array(length));
    }
  });
  if (given.names !== undefined) out.u8(0).sized(w().name("name").raw(given.names));
  return out.take();
}

/** One segment of each form; the offset of an active one is 0. */
function element(body: BinaryWriter, form: number, func: number): void {
  body.u32(form);
  if ((form & 1) === 0) {
    if ((form & 2) !== 0) body.u32(0);
    body.raw(zero(I32)).u8(END);
  }
  if ((form & 3) !== 0) body.u8((form & 4) === 0 ? 0 : 0x70);
  body.u32(1);
  if ((form & 4) === 0) body.u32(func);
  else body.u8(0xd2).u32(func).u8(END);
}

interface Context {
  readonly given: Shape;
  readonly imported: number;
  readonly functions: number;
  signature(index: number): { readonly params: readonly number[]; readonly results: readonly number[] };
}

function functionBody(
  context: Context,
  { locals, statements }: FunctionShape,
  type: { readonly params: readonly number[]; readonly results: readonly number[] },
): BinaryWriter {
  const body = w().u32(locals.length);
  for (const { count, type: local } of locals) body.u32(count).u8(local);
  const all = [
    ...type.params,
    ...locals.flatMap(({ count, type: local }) => Array.from({ length: Math.min(count, 50) }, () => local)),
  ];
  // Beyond the first 50 of a group their indexes are others.
  const known = locals.some(({ count }) => count > 50) ? all.slice(0, type.params.length) : all;
  for (const one of statements) emit(body, context, known, one, 0);
  for (const result of type.results) body.raw(zero(result));
  return body.u8(END);
}

/** Leaves the stack as it was. @param depth of the labels around. */
function emit(
  body: BinaryWriter,
  context: Context,
  locals: readonly number[],
  one: Statement,
  depth: number,
): void {
  const { what, number, times, inner } = one;
  const { given } = context;
  const within = (): void => {
    for (const next of inner) emit(body, context, locals, next, depth + 1);
  };
  const local = number % Math.max(1, locals.length);
  switch (what) {
    case 0:
    case 1:
      for (let n = 0; n < times; n++) body.u8(what === 0 ? 0x02 : 0x03).u8(0x40);
      within();
      if (what === 1) body.raw(zero(I32)).u8(0x0d).u32(0);
      for (let n = 0; n < times; n++) body.u8(END);
      return;
    case 2:
      body.raw(zero(I32)).u8(0x04).u8(0x40);
      within();
      body.u8(0x05).u8(END);
      return;
    case 3:
      if (locals.length > 0) body.raw(zero(locals[local]!)).u8(0x21).u32(local);
      return;
    case 4:
      if (locals.length > 0) for (let n = 0; n < times; n++) body.u8(0x20).u32(local).u8(0x1a);
      return;
    case 5:
    case 6: {
      const target = number % context.functions;
      const { params, results } = context.signature(target);
      for (let n = 0; n < times; n++) {
        for (const param of params) body.raw(zero(param));
        body.u8(0x10).u32(target);
        for (const _ of results) body.u8(0x1a);
      }
      return;
    }
    case 7:
      if (depth === 0) return;
      body.raw(zero(I32)).u8(0x0e).u32(times);
      for (let n = 0; n <= times; n++) body.u32((number + n) % depth);
      // What follows is not reached, and may be anything.
      within();
      return;
    case 8:
      body.raw(zero(I32)).raw(zero(I32)).u8(0x36).u32(0).u32(number);
      return;
    case 9:
      body.raw(zero(I32)).u8(0x28).u32(0).u32(number).u8(0x1a);
      return;
    case 10:
      body.raw(zero(I32)).raw(zero(I32)).raw(zero(I32)).u8(0xfc).u32(11).u8(0);
      return;
    case 11:
      body.u8(0x00);
      return;
    case 12:
      if (given.table !== undefined) body.raw(zero(I32)).u8(0x25).u32(0).u8(0x1a);
      return;
    case 13:
      if (given.table !== undefined) body.raw(zero(0x70)).raw(zero(I32)).u8(0xfc).u32(15).u32(0).u8(0x1a);
      return;
    case 14:
      if (given.table !== undefined) body.raw(zero(I32)).u8(0x11).u32(0).u32(0);
      return;
    case 15:
      if (given.data.length > 0)
        body
          .u8(0xfc)
          .u32(9)
          .u32(number % given.data.length);
      return;
    case 16:
      if (given.mutableGlobals.length === 0) return;
      body.raw(zero(given.mutableGlobals[number % given.mutableGlobals.length]!));
      body.u8(0x24).u32(given.chain + (number % given.mutableGlobals.length));
      return;
    case 17:
      body.raw(zero(I32)).u8(0x40).u8(0).u8(0x1a);
      return;
    case 18:
      // A loop that counts, which is polled seldom.
      body.u8(0x03).u8(0x40);
      within();
      if (locals[local] === I32) {
        body.u8(0x20).u32(local).u8(0x41).s32(1).u8(0x6b).u8(0x22).u32(local).u8(0x0d).u32(0);
      }
      body.u8(END);
      return;
    case 19:
      body.raw(zero(0x7b)).u8(0x1a);
      return;
    case 20:
      body.u8(0x0f);
      return;
    default:
      // Not reached, and whatever it may be.
      body.u8(0x00).u8(number & 0xff);
  }
}
