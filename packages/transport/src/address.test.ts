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
      fc.record({ kind: fc.constant("exec" as const), command: path.filter((text) => text.trim() !== "") }),
      fc.record({
        kind: fc.constant("fd" as const),
        descriptor: fc.oneof(
          fc.nat(999_999_999),
          path.filter((text) => !/^\d/u.test(text)),
        ),
      }),
      fc.record({
        kind: fc.constantFrom("ws" as const, "wss" as const),
        host: fc.oneof(fc.ipV4(), fc.domain(), fc.constantFrom("::1", "2001:db8::7")),
        port: fc.integer({ min: 0, max: 65_535 }),
        resource: fc.constantFrom("/", "/a/b", "/~x;y"),
        tls: fc.constant({}),
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
    ["file:vm,offset=1M", { kind: "file", path: "vm", offset: 1 << 20 }],
    ["exec:cat > a:b,offset=1", { kind: "exec", command: "cat > a:b,offset=1" }],
    ["fd:7", { kind: "fd", descriptor: 7 }],
    ["fd:migration", { kind: "fd", descriptor: "migration" }],
    ["fd:7x", { kind: "fd", descriptor: "7x" }],
    ["fd:-1", { kind: "fd", descriptor: "-1" }],
    ["fd:99999999999", { kind: "fd", descriptor: "99999999999" }],
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

  test("a file needs a path", () => {
    for (const uri of ["file:", "file:,offset=1", "file:a\0b"]) {
      expect(() => parseUri(uri)).toThrow(
        expect.objectContaining({ code: "BAD_ADDRESS", message: "invalid file address" }),
      );
    }
  });

  // What a qemu-system-x86_64 of release 10.0 makes of them.
  test.each([
    ["0", 0],
    ["1B", 1],
    ["1b", 1],
    ["1k", 1024],
    ["1K", 1024],
    ["1.5k", 1536],
    [".5k", 512],
    ["1.k", 1024],
    ["1.00001k", 1024],
    ["1.0", 1],
    ["010", 10],
    ["+1", 1],
    [" 1", 1],
    ["0X10", 16],
    ["2M", 2 << 20],
    ["1G", 2 ** 30],
    ["1t", 2 ** 40],
    ["1P", 2 ** 50],
  ])("an offset of '%s' is understood", (offset, bytes) => {
    expect(parseUri(`file:a,offset=${offset}`)).toEqual({ kind: "file", path: "a", offset: bytes });
  });

  test.each([
    ...["", "abc", "1kB", "1k ", "0x10k", "0x1.8", "0x", "1.3", "0.5", "1e3", "1e3k", "1,", "1Z", "inf"].map(
      (text) => [text, "Invalid argument"] as const,
    ),
    ["-1", "Numerical result out of range"],
    ["99999999999999999999", "Numerical result out of range"],
  ] as const)("an offset of '%s' is refused: %s", (offset, reason) => {
    expect(() => parseUri(`file:a,offset=${offset}`)).toThrow(
      expect.objectContaining({
        code: "BAD_ADDRESS",
        message: `file URI has bad offset ${offset}: ${reason}`,
      }),
    );
  });

  test("a command and a descriptor cannot be left out", () => {
    for (const uri of ["exec:", "exec: ", "exec:a\0b"]) {
      expect(() => parseUri(uri)).toThrow(
        expect.objectContaining({
          code: "BAD_ADDRESS",
          message: "invalid exec address: a command has to follow 'exec:'",
        }),
      );
    }
    expect(() => parseUri("fd:")).toThrow(
      expect.objectContaining({ code: "BAD_ADDRESS", message: "invalid file descriptor address" }),
    );
  });

  test.each([
    "carrier-pigeon:4444",
    "rdma:127.0.0.1:4444",
    "vsock:2:4444",
    "tcp",
    "",
    ":",
    "TCP:127.0.0.1:1",
    "constructor:x",
  ])("%s names no transport", async (uri) => {
    const outgoing = {
      code: "UNKNOWN_SCHEME",
      message: "Parameter 'uri' expects a valid migration protocol",
    };
    const incoming = { code: "UNKNOWN_SCHEME", message: `unknown migration protocol: ${uri}` };
    expect(() => parseUri(uri)).toThrow(expect.objectContaining(outgoing));
    expect(() => parseUri(uri, "incoming")).toThrow(expect.objectContaining(incoming));
    await expect(connect(uri)).rejects.toMatchObject(outgoing);
    await expect(listen(uri)).rejects.toMatchObject(incoming);
  });

  test("is described in error texts without its scheme", () => {
    expect(describeAddress({ kind: "tcp", host: "::1", port: 1 })).toBe("[::1]:1");
    expect(describeAddress({ kind: "unix", path: "/x" })).toBe("/x");
    expect(describeAddress({ kind: "file", path: "/x", offset: 9 })).toBe("/x");
  });
});
