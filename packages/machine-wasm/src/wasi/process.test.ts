import { expect, test } from "vitest";
import { WasiCaller } from "../../test/wasi-caller.ts";
import { ERRNO_NAMES } from "./errno.ts";
import { GuestExitSignal } from "./host.ts";
import { BLOCKING_IMPORTS, SUPPORTED_IMPORTS } from "./import-names.ts";
import type { WasiConfig } from "./state.ts";

test("every function of preview1 exists, and no other", () => {
  expect(Object.keys(new WasiCaller().host.imports).sort()).toEqual([...SUPPORTED_IMPORTS].sort());
  expect(SUPPORTED_IMPORTS.size).toBe(46);
  for (const name of BLOCKING_IMPORTS) expect(SUPPORTED_IMPORTS.has(name)).toBe(true);
});

test("error numbers are those of preview1", () => {
  expect(ERRNO_NAMES.length).toBe(77);
  expect(ERRNO_NAMES[8]).toBe("EBADF");
  expect(ERRNO_NAMES[28]).toBe("EINVAL");
  expect(ERRNO_NAMES[44]).toBe("ENOENT");
  expect(ERRNO_NAMES[63]).toBe("EPERM");
  expect(ERRNO_NAMES[76]).toBe("ENOTCAPABLE");
});

test.each([
  ["args_get", "args_sizes_get"],
  ["environ_get", "environ_sizes_get"],
])("%s lays out strings one after the other, each with its zero byte", (get, sizes) => {
  const strings = ["A=", "B=zwei ☃", "C=3"];
  const guest = new WasiCaller({ config: { args: strings, env: strings } });
  const count = guest.alloc(4);
  const length = guest.alloc(4);
  guest.ok(sizes, count, length);
  expect([guest.u32(count), guest.u32(length)]).toEqual([3, 3 + 11 + 4]);
  const pointers = guest.alloc(12);
  const [bytes] = guest.put(new Uint8Array(30).fill(0xff));
  guest.ok(get, pointers, bytes);
  expect(guest.text(bytes, 18)).toBe("A=\0B=zwei ☃\0C=3\0");
  expect([0, 1, 2].map((index) => guest.u32(pointers + index * 4) - bytes)).toEqual([0, 3, 14]);
  expect(guest.bytes[bytes + 18]).toBe(0xff);
});

test("arguments and environment are the same after each move, also those that begin with U+FEFF", () => {
  const args = ["\ufeffguest", "\ufeff\ufeff", ""];
  const env = ["\ufeffKEY=\ufeffvalue"];
  const there = new WasiCaller({ restored: new WasiCaller({ config: { args, env } }).host.capture() });
  expect(there.host.capture()).toMatchObject({ args, env });
});

test("a pointer outside of memory is EFAULT and nothing is written", () => {
  const guest = new WasiCaller({ config: { args: ["a", "b"] } });
  const end = guest.bytes.length;
  expect(guest.call("args_get", 1024, end - 3)).toBe("EFAULT");
  expect(guest.call("args_get", end - 7, 1024)).toBe("EFAULT");
  expect(guest.call("args_sizes_get", 1024, -4)).toBe("EFAULT");
  expect(guest.bytes.every((byte) => byte === 0)).toBe(true);
});

test("memory that has grown is reached, also through a new buffer", () => {
  const guest = new WasiCaller({ pages: 1 });
  const old = guest.bytes.length;
  expect(guest.call("random_get", old, 16)).toBe("EFAULT");
  const grown = new SharedArrayBuffer(old * 2);
  new Uint8Array(grown).set(guest.bytes);
  guest.memory.buffer = grown;
  guest.ok("random_get", old, 16);
  expect(guest.bytes.slice(old, old + 16).every((byte) => byte !== 0)).toBe(true);
});

test("random_get fills exactly what was asked for, in pieces the source can give", () => {
  const guest = new WasiCaller({ pages: 4 });
  guest.ok("random_get", 1000, 70_000);
  expect(guest.bytes[999]).toBe(0);
  expect(guest.bytes[1000]).toBe(1);
  expect(guest.bytes[1000 + 65536 - 1]).toBe(65536 & 0xff);
  expect(guest.bytes[1000 + 70_000 - 1]).toBe(70_000 & 0xff);
  expect(guest.bytes[1000 + 70_000]).toBe(0);
  expect(guest.call("random_get", 0, -1)).toBe("EFAULT");
});

test("clocks", () => {
  const guest = new WasiCaller();
  const at = guest.alloc(8);
  guest.ok("clock_time_get", 0, 0n, at);
  expect(guest.u64(at)).toBe(1_700_000_000_000_000_000n);
  guest.ok("clock_time_get", 1, 0n, at);
  expect(guest.u64(at)).toBe(1_000_000_000n);
  guest.ok("clock_res_get", 0, at);
  expect(guest.u64(at)).toBe(1000n);
  expect(guest.call("clock_time_get", 2, 0n, at)).toBe("ENOTSUP");
  expect(guest.call("clock_time_get", 4, 0n, at)).toBe("EINVAL");
});

test("proc_exit leaves the guest with its status and the state knows it", () => {
  const guest = new WasiCaller();
  expect(() => guest.host.imports["proc_exit"]?.(-1)).toThrow(GuestExitSignal);
  expect(guest.host.capture().exitStatus).toBe(0xffff_ffff);
});

test("what does not exist without threads, signals and sockets", () => {
  const guest = new WasiCaller();
  expect(guest.call("sched_yield")).toBe("SUCCESS");
  expect(guest.call("proc_raise", 9)).toBe("ENOTSUP");
  expect(guest.call("proc_raise", 31)).toBe("EINVAL");
  for (const name of ["sock_accept", "sock_recv", "sock_send", "sock_shutdown"]) {
    expect(guest.call(name, 1, 0, 0, 0, 0, 0)).toBe("ENOTSOCK");
    expect(guest.call(name, 77, 0, 0, 0, 0, 0)).toBe("EBADF");
  }
});

test.each<[string, Partial<WasiConfig>]>([
  ["an argument or environment entry has a zero byte", { args: ["a\0b"] }],
  ["not of the form KEY=VALUE", { env: ["A"] }],
  ["not valid Unicode", { args: ["\ud800"] }],
  ["more than 4096 arguments", { args: Array.from({ length: 5000 }, () => "x") }],
  ["arguments and environment of more than", { args: Array.from({ length: 20 }, () => "x".repeat(100_000)) }],
  ["a directory has an empty path", { preopens: [{ guestPath: "", hostPath: "/" }] }],
  ["the guest's directory /nowhere does not exist", { preopens: [{ guestPath: "/", hostPath: "/nowhere" }] }],
])("refused at the start: %s", (problem, config) => {
  expect(() => new WasiCaller({ config })).toThrow(problem);
});
