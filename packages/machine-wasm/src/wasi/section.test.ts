import * as fc from "fast-check";
import { expect, test } from "vitest";
import golden from "../../test/golden/wasi-section.json" with { type: "json" };
import { moved, stateBytes, stateFrom } from "../../test/wasi-bytes.ts";
import { fromSection, toSection } from "./section.ts";
import type { WasiSection } from "./section.ts";
import type { DescriptorState, WasiState } from "./state.ts";

const text = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .filter((value) => !value.includes("\0") && value.isWellFormed());
const component = text.filter(
  (value) => value !== "" && value !== "." && value !== ".." && !value.includes("/"),
);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const rights = fc.nat((1 << 30) - 1);
const u63 = fc.bigInt(0n, (1n << 63n) - 1n);
const common = { rights, inheritingRights: rights, flags: fc.nat(31) };
const place = { root: fc.nat(1), path, gone: fc.boolean() };

const descriptor: fc.Arbitrary<Omit<DescriptorState, "fd">> = fc.oneof(
  fc.record({ ...common, kind: fc.constant("console" as const), stream: fc.constantFrom(0, 1, 2) }),
  fc.record({ ...common, ...place, kind: fc.constant("directory" as const), preopened: fc.constant(false) }),
  fc.record({
    ...common,
    ...place,
    kind: fc.constant("file" as const),
    read: fc.constant(true),
    write: fc.boolean(),
    position: u63,
    size: u63,
  }),
);

const state: fc.Arbitrary<WasiState> = fc.record({
  args: fc.array(text, { maxLength: 5 }),
  env: fc.array(
    fc.tuple(component, text).map(([key, value]) => `${key.replaceAll("=", "")}K=${value}`),
    { maxLength: 5 },
  ),
  preopens: fc.constant([
    { guestPath: "/data", hostPath: "/srv/data" },
    { guestPath: ".", hostPath: "." },
  ]),
  descriptors: fc
    .array(descriptor, { maxLength: 8 })
    .map((list) => list.map((item, index) => ({ ...item, fd: index * 3 }) as DescriptorState)),
  monotonicNs: fc.constant(1n << 62n),
  pollStartedNs: fc.option(fc.bigInt(0n, 1n << 62n), { nil: undefined }),
  consoleInput: fc.uint8Array({ maxLength: 40 }),
  consoleInputEnded: fc.boolean(),
  exitStatus: fc.option(fc.nat(0xffff_ffff), { nil: undefined }),
});

test("every state becomes bytes and the same state again", () => {
  fc.assert(
    fc.property(state, (value) => {
      expect(moved(value)).toEqual(value);
    }),
  );
});

const GOOD: WasiState = {
  args: ["guest"],
  env: ["K=V"],
  preopens: [{ guestPath: "/", hostPath: "/srv" }],
  descriptors: [
    { fd: 0, kind: "console", stream: 0, rights: 2, inheritingRights: 0, flags: 0 },
    {
      fd: 4, kind: "file", root: 0, path: "a/b", gone: false, read: true, write: true,
      position: 5n, size: 9n, rights: 2, inheritingRights: 0, flags: 0,
    },
    {
      fd: 3, kind: "directory", root: 0, path: "", gone: false, preopened: true,
      rights: 2, inheritingRights: 0, flags: 0,
    },
  ],
  monotonicNs: 10n,
  pollStartedNs: 4n,
  consoleInput: new Uint8Array([1, 2, 3]),
  consoleInputEnded: true,
  exitStatus: 7,
}; // prettier-ignore

test("the bytes are those of the golden vector", () => {
  const bytes = Uint8Array.from(Buffer.from(golden.hex.join("").replaceAll(" ", ""), "hex"));
  expect(stateBytes(GOOD)).toEqual(bytes);
  expect(stateFrom(bytes)).toEqual(GOOD);
});

test("the bytes may arrive in any two pieces", () => {
  const bytes = stateBytes(GOOD);
  for (let at = 0; at <= bytes.length; at++) {
    expect(stateFrom(bytes.slice(0, at), bytes.slice(at))).toEqual(GOOD);
  }
});

test("a count that is too large is refused before anything is taken for it", () => {
  const bytes = stateBytes(GOOD);
  bytes.set([0x7f, 0xff, 0xff, 0xff]);
  expect(() => stateFrom(bytes)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
});

function withDescriptor(index: number, change: object): WasiSection {
  const section = toSection(GOOD);
  const descriptors = section.descriptors.map((item, at) => (at === index ? { ...item, ...change } : item));
  return { ...section, descriptors };
}

const utf8 = (value: string): { length: number; utf8: Uint8Array } => {
  const bytes = new TextEncoder().encode(value);
  return { length: bytes.length, utf8: bytes };
};

test.each<[string, WasiSection]>([
  ["descriptor 4 appears twice", withDescriptor(0, { number: 4 })],
  ["descriptor 4096 is not below 4096", withDescriptor(0, { number: 4096 })],
  ["descriptor 0 is of unknown kind 3", withDescriptor(0, { kind: 3 })],
  ["descriptor 0 is console stream 3", withDescriptor(0, { stream: 3 })],
  ["descriptor 4 has unknown rights", withDescriptor(1, { rights: 0x8000_0000 })],
  ["descriptor 4 has unknown flags", withDescriptor(1, { flags: 32 })],
  ["in a directory that the state does not have", withDescriptor(1, { root: 1 })],
  ["has a path with empty or dot components", withDescriptor(1, { path: utf8("../etc/passwd") })],
  ["has a path with empty or dot components", withDescriptor(1, { path: utf8("/etc/passwd") })],
  ["has a path with empty or dot components", withDescriptor(1, { path: utf8("") })],
  ["has a path that has a zero byte", withDescriptor(1, { path: utf8("a\0b") })],
  ["has a path that is longer than 4096 bytes", withDescriptor(1, { path: utf8("x".repeat(5000)) })],
  ["a text that is not UTF-8", withDescriptor(1, { path: { length: 1, utf8: new Uint8Array([0xff]) } })],
  ["has an illegal position or size", withDescriptor(1, { position: 1n << 63n })],
  ["open neither for reading nor for writing", withDescriptor(1, { read: false, write: false })],
  ["is preopened below its directory", withDescriptor(2, { path: utf8("below") })],
  ["a wait that began in the future", { ...toSection(GOOD), pollStartedNs: 11n }],
  ["not of the form KEY=VALUE", { ...toSection(GOOD), env: [utf8("=V")] }],
  [
    "a directory has an empty path",
    { ...toSection(GOOD), preopens: [{ guestPath: utf8("/"), hostPath: utf8("") }] },
  ],
])("a section is refused: %s", (problem, section) => {
  expect(() => fromSection(section)).toThrow(
    expect.objectContaining({ code: "BAD_SECTION", message: expect.stringContaining(problem) }),
  );
});
