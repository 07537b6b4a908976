import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeAddress, formatUri } from "./address.ts";
import { connect, listen, parseUri } from "./uri.ts";

const host = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.domain(),
  fc.constant(""),
  fc.constant("fe80::1%eth0"),
  fc.constant("my_host"),
);
const path = fc
  .string({ minLength: 1, maxLength: 26, unit: "grapheme" })
  .filter((text) => !text.includes("\0"));

describe("a URI", () => {
  test("survives parsing and formatting", () => {
    const address = fc.oneof(
      fc.record({ kind: fc.constant("tcp" as const), host, port: fc.integer({ min: 0, max: 65_535 }) }),
      fc.record({ kind: fc.constant("unix" as const), path: path.map((text) => text.slice(0, 26)) }),
      fc.record({
        kind: fc.constant("file" as const),
        path: fc.oneof(path, fc.constantFrom("a,offset=1", ",offset=", "a,offset=1,offset=x")),
        offset: fc.oneof(fc.constant(0), fc.maxSafeNat()),
      }),
    );
    fc.assert(
      fc.property(address, (value) => {
        expect(parseUri(formatUri(value))).toEqual(value);
      }),
    );
  });

  test.each([
    ["tcp:127.0.0.1:4444", { kind: "tcp", host: "127.0.0.1", port: 4444 }],
    ["tcp:[::1]:4444", { kind: "tcp", host: "::1", port: 4444 }],
    ["tcp::0", { kind: "tcp", host: "", port: 0 }],
    ["unix:/run/guest.sock", { kind: "unix", path: "/run/guest.sock" }],
    ["unix:relative:with:colons", { kind: "unix", path: "relative:with:colons" }],
    ["file:/var/vm", { kind: "file", path: "/var/vm", offset: 0 }],
    ["file:vm,offset=4096", { kind: "file", path: "vm", offset: 4096 }],
    ["file:a, b,offset=0x1F", { kind: "file", path: "a, b", offset: 31 }],
  ])("%s is understood", (uri, address) => {
    expect(parseUri(uri)).toEqual(address);
  });

  test.each([
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:port",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:99999999999999999999",
    "::1:4444",
    "[::1]",
    "[::1]4444",
    "[]:4444",
    "[localhost]:4444x",
    "//127.0.0.1:4444",
    "127.0.0.1:4444,to=4450",
    "two words:4444",
    "",
  ])("tcp:%s is refused", (rest) => {
    expect(() => parseUri(`tcp:${rest}`)).toThrow(
      expect.objectContaining({ code: "BAD_ADDRESS", message: `error parsing address '${rest}'` }),
    );
  });

  test("a unix socket needs a path that the system can hold", () => {
    expect(() => parseUri("unix:")).toThrow(
      expect.objectContaining({ code: "BAD_ADDRESS", message: "invalid Unix socket address" }),
    );
    expect(() => parseUri("unix:a\0b")).toThrow(expect.objectContaining({ code: "BAD_ADDRESS" }));
    expect(parseUri(`unix:${"x".repeat(107)}`)).toEqual({ kind: "unix", path: "x".repeat(107) });
    expect(() => parseUri(`unix:${"é".repeat(54)}`)).toThrow(
      expect.objectContaining({
        message: `invalid Unix socket address: '${"é".repeat(54)}' is longer than 107 bytes`,
      }),
    );
  });

  test("a file needs a path, and an offset that is a number of bytes", () => {
    for (const uri of ["file:", "file:,offset=1", "file:a\0b"]) {
      expect(() => parseUri(uri)).toThrow(
        expect.objectContaining({ code: "BAD_ADDRESS", message: "invalid file address" }),
      );
    }
    for (const offset of ["", "-1", "1k", "0x", "1e3", "9007199254740992"]) {
      expect(() => parseUri(`file:a,offset=${offset}`)).toThrow(
        expect.objectContaining({
          code: "BAD_ADDRESS",
          message: `invalid file address: the offset '${offset}' is no number of bytes`,
        }),
      );
    }
  });

  test.each(["carrier-pigeon:4444", "tcp", "", ":", "TCP:127.0.0.1:1", "constructor:x"])(
    "%s names no transport",
    async (uri) => {
      const outgoing = {
        code: "UNKNOWN_SCHEME",
        message: "Parameter 'uri' expects a valid migration protocol",
      };
      const incoming = { code: "UNKNOWN_SCHEME", message: `unknown migration protocol: ${uri}` };
      expect(() => parseUri(uri)).toThrow(expect.objectContaining(outgoing));
      expect(() => parseUri(uri, "incoming")).toThrow(expect.objectContaining(incoming));
      await expect(connect(uri)).rejects.toMatchObject(outgoing);
      await expect(listen(uri)).rejects.toMatchObject(incoming);
    },
  );

  test("is described in error texts without its scheme", () => {
    expect(describeAddress({ kind: "tcp", host: "::1", port: 1 })).toBe("[::1]:1");
    expect(describeAddress({ kind: "unix", path: "/x" })).toBe("/x");
    expect(describeAddress({ kind: "file", path: "/x", offset: 9 })).toBe("/x");
  });
});
