import fc from "fast-check";

/**
 * Random commands in the text format, all of which end, some by a trap: loops count down, recursion has a budget, so
 * that every program can be compared with itself. Values are i32 (locals 0..2), i64 (3, 4) and f64 (5); each function takes one i32.
 */

type Type = "i32" | "i64" | "f64";
const LOCALS: Record<Type, readonly string[]> = { i32: ["$p", "$a", "$b"], i64: ["$c", "$d"], f64: ["$e"] };
const FUNCTIONS = 4;

interface Scope {
  /** Nesting left. */
  readonly depth: number;
  /** Labels that a branch may name, innermost last: only of blocks, so that every loop is bounded by its counter. */
  readonly labels: readonly string[];
}

let labelCount = 0;

const constant = (type: Type): fc.Arbitrary<string> =>
  type === "f64"
    ? fc.integer({ min: -1000, max: 1000 }).map((n) => `(f64.const ${n / 8})`)
    : fc.integer({ min: -100_000, max: 100_000 }).map((n) => `(${type}.const ${n})`);

const get = (type: Type): fc.Arbitrary<string> =>
  fc.constantFrom(...LOCALS[type]).map((name) => `(local.get ${name})`);

const OPERATIONS: Record<Type, readonly string[]> = {
  i32: ["i32.add", "i32.sub", "i32.mul", "i32.xor", "i32.and", "i32.shl", "i32.lt_s"],
  i64: ["i64.add", "i64.sub", "i64.mul", "i64.xor", "i64.rotl"],
  f64: ["f64.add", "f64.sub", "f64.mul", "f64.max"],
};

const address = (scope: Scope): fc.Arbitrary<string> =>
  expression("i32", scope).map((text) => `(i32.and ${text} (i32.const 0xffff))`);

/** Expressions that trap for some operands; rare, so that most programs get further. */
function mayTrap(type: Type, scope: Scope): fc.Arbitrary<string> {
  const value = expression(type, scope);
  const number = expression("i32", scope);
  const wild = number.map((at) => `(${type}.load offset=120000 (i32.and ${at} (i32.const 0x3fff)))`);
  if (type === "f64") return wild;
  const divided = fc
    .tuple(fc.constantFrom("div_s", "div_u", "rem_s", "rem_u"), value, value)
    .map(([operation, x, y]) => `(${type}.${operation} ${x} ${y})`);
  const truncated = expression("f64", scope).map(
    (x) => `(${type}.trunc_f64_s (f64.mul ${x} (f64.const 1e6)))`,
  );
  if (type === "i64") return fc.oneof(wild, divided, truncated);
  const called = fc
    .tuple(value, number)
    .map(
      ([x, index]) => `(call_indirect (type $t) ${x} (i32.and ${index} (i32.const ${2 * FUNCTIONS - 1})))`,
    );
  return fc.oneof(wild, divided, truncated, called);
}

/** An expression: calls and whole structures may stand anywhere among its operands. */
function expression(type: Type, scope: Scope): fc.Arbitrary<string> {
  const leaf = fc.oneof(constant(type), get(type));
  if (scope.depth <= 0) return leaf;
  const inner: Scope = { ...scope, depth: scope.depth - 1 };
  const choices: fc.Arbitrary<string>[] = [
    leaf,
    fc
      .tuple(fc.constantFrom(...OPERATIONS[type]), expression(type, inner), expression(type, inner))
      .map(([op, x, y]) => `(${op} ${x} ${y})`),
    fc
      .tuple(expression("i32", inner), expression(type, inner), expression(type, inner))
      .map(([c, x, y]) => `(if (result ${type}) ${c} (then ${x}) (else ${y}))`),
    fc
      .tuple(statements(inner), expression(type, inner))
      .map(([s, x]) => `(block (result ${type}) ${s} ${x})`),
    fc
      .tuple(fc.constantFrom(...LOCALS[type]), expression(type, inner))
      .map(([name, x]) => `(local.tee ${name} ${x})`),
    fc
      .tuple(expression(type, inner), expression(type, inner), expression("i32", inner))
      .map(([x, y, c]) => `(select ${x} ${y} ${c})`),
    address(inner).map((at) => `(${type}.load ${at})`),
  ];
  if (type === "i32") {
    const target = fc.integer({ min: 0, max: FUNCTIONS - 1 });
    choices.push(
      fc.tuple(target, expression("i32", inner)).map(([f, x]) => `(call $f${f} ${x})`),
      fc
        .tuple(expression("i32", inner), expression("i32", inner))
        .map(
          ([x, index]) => `(call_indirect (type $t) ${x} (i32.and ${index} (i32.const ${FUNCTIONS - 1})))`,
        ),
      expression("i64", inner).map((x) => `(i32.wrap_i64 ${x})`),
    );
  }
  if (type === "i64") choices.push(expression("i32", inner).map((x) => `(i64.extend_i32_s ${x})`));
  if (type === "f64") choices.push(expression("i32", inner).map((x) => `(f64.convert_i32_s ${x})`));
  return fc.oneof(...choices.map((arbitrary) => ({ arbitrary, weight: 10 })), {
    arbitrary: mayTrap(type, inner),
    weight: 3,
  });
}

function statement(scope: Scope): fc.Arbitrary<string> {
  const value = { ...scope, depth: Math.min(scope.depth, 2) };
  const assign = fc
    .constantFrom<Type>("i32", "i64", "f64")
    .chain((type) => fc.tuple(fc.constantFrom(...LOCALS[type]), expression(type, value)))
    .map(([name, x]) => `(local.set ${name} ${x})`);
  const store = fc
    .constantFrom<Type>("i32", "i64", "f64")
    .chain((type) =>
      fc
        .tuple(address(value), expression(type, value), fc.integer({ min: 0, max: 5000 }))
        .map(([at, x, offset]) => `(${type}.store offset=${offset} ${at} ${x})`),
    );
  if (scope.depth <= 0) return fc.oneof(assign, store);
  const inner: Scope = { ...scope, depth: scope.depth - 1 };
  const label = `$l${labelCount++}`;
  const labelled: Scope = { ...inner, labels: [...scope.labels, label] };
  const counter = `$n${scope.depth}`;
  const choices = [
    assign,
    store,
    fc
      .tuple(expression("i32", value), statements(inner), statements(inner))
      .map(([c, x, y]) => `(if ${c} (then ${x}) (else ${y}))`),
    fc.tuple(expression("i32", value), statements(inner)).map(([c, x]) => `(if ${c} (then ${x}))`),
    statements(labelled).map((x) => `(block ${label} ${x})`),
    fc.tuple(fc.integer({ min: 1, max: 4 }), statements(inner)).map(
      ([times, x]) => `(local.set ${counter} (i32.const ${times}))
        (loop ${label} ${x}
          (br_if ${label} (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))))`,
    ),
    fc
      .tuple(expression("i32", value), expression("i32", value), expression("i32", value))
      .map(
        ([to, x, n]) =>
          `(memory.fill (i32.and ${to} (i32.const 0xffff)) ${x} (i32.and ${n} (i32.const 0xfff)))`,
      ),
  ];
  if (scope.labels.length > 0) {
    const target = fc.constantFrom(...scope.labels);
    choices.push(
      fc.tuple(target, expression("i32", value)).map(([to, c]) => `(br_if ${to} ${c})`),
      expression("i32", value).map((c) => `(if (i32.eq ${c} (i32.const 1)) (then unreachable))`),
      fc
        .tuple(fc.array(target, { minLength: 1, maxLength: 4 }), expression("i32", value))
        .map(([to, x]) => `(br_table ${to.join(" ")} (i32.and ${x} (i32.const 7)))`),
    );
  }
  return fc.oneof(...choices);
}

function statements(scope: Scope): fc.Arbitrary<string> {
  return fc.array(statement(scope), { minLength: 1, maxLength: 3 }).map((list) => list.join("\n"));
}

/** Calls beyond the budget return at once. Some functions begin with blocks that hold all they do. */
const func = (index: number): fc.Arbitrary<string> => {
  const scope: Scope = { depth: 3, labels: [] };
  return fc.tuple(statements(scope), expression("i32", scope), fc.integer({ min: 0, max: 2 })).map(
    ([body, result, blocks]) => `(func $f${index} (param $p i32) (result i32)
      (local $a i32) (local $b i32) (local $c i64) (local $d i64) (local $e f64) (local $n1 i32) (local $n2 i32) (local $n3 i32)
      ${"(block ".repeat(blocks)}
      (if (i32.eqz (global.get $budget)) (then (return (local.get $p))))
      (global.set $budget (i32.sub (global.get $budget) (i32.const 1)))
      ${body}
      ${")".repeat(blocks)}
      ${result})`,
  );
};

/** The text of a program; its memory and its end are what it did. */
export const randomProgram: fc.Arbitrary<string> = fc
  .tuple(...Array.from({ length: FUNCTIONS }, (_, index) => func(index)))
  .map(
    (functions) => `(module
    (type $t (func (param i32) (result i32)))
    (memory (export "memory") 2)
    (table funcref (elem ${functions.map((_, index) => `$f${index}`).join(" ")}))
    (global $budget (mut i32) (i32.const 60))
    ${functions.join("\n")}
    (func (export "_start") (i32.store (i32.const 131064) (call $f0 (i32.const 1)))))`,
  );
