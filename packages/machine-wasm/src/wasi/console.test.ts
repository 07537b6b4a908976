import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FDFLAGS, Unwound, WasiCaller } from "../../test/wasi-caller.ts";
import type { WasiState } from "./state.ts";

test("output goes to its stream, whatever number it has", () => {
  const guest = new WasiCaller();
  expect(guest.write(1, "out")).toBe(3);
  expect(guest.write(2, "err")).toBe(3);
  guest.ok("fd_renumber", 2, 1);
  expect(guest.write(1, "more")).toBe(4);
  expect(guest.write(2, "x")).toBe("EBADF");
  expect([guest.console.text(1), guest.console.text(2)]).toEqual(["out", "errmore"]);
});

test("many buffers are one write, empty ones included", () => {
  const guest = new WasiCaller();
  const written = guest.alloc(4);
  const buffers = guest.iovecs(guest.put("a"), guest.put(""), guest.put("bcd"), [0, 0]);
  guest.ok("fd_write", 1, ...buffers, written);
  expect([guest.u32(written), guest.console.text(1)]).toEqual([4, "abcd"]);
  guest.ok("fd_write", 1, 0, 0, written);
  expect(guest.u32(written)).toBe(0);
});

test("bad buffers and results have no side effect", () => {
  const guest = new WasiCaller();
  const end = guest.bytes.length;
  const good = guest.put("x");
  guest.console.type("input");
  for (const name of ["fd_write", "fd_read"]) {
    const fd = name === "fd_write" ? 1 : 0;
    expect(guest.call(name, fd, ...guest.iovecs(good), end - 3)).toBe("EFAULT");
    expect(guest.call(name, fd, ...guest.iovecs(good, [end - 1, 2]), 0)).toBe("EFAULT");
    expect(guest.call(name, fd, end - 4, 1, 0)).toBe("EFAULT");
    expect(guest.call(name, fd, 1024, 1025, 0)).toBe("EINVAL");
    expect(guest.call(name, fd, 1024, -1, 0)).toBe("EINVAL");
  }
  expect(guest.console.text(1)).toBe("");
  expect(guest.read(0, 10)).toBe("input");
});

test("buffers that overlap to more than 4 GiB are refused", () => {
  const guest = new WasiCaller({ pages: 128 });
  const huge = Array.from({ length: 1024 }, (): [number, number] => [0, guest.bytes.length]);
  expect(guest.call("fd_write", 1, ...guest.iovecs(...huge), 0)).toBe("EINVAL");
});

test("a full descriptor makes the guest wait until everything is written", () => {
  const guest = new WasiCaller();
  guest.console.room = 3;
  guest.control.onWait = () => {
    guest.console.room += 2;
  };
  expect(guest.write(1, "0123456789")).toBe(10);
  expect(guest.console.text(1)).toBe("0123456789");
  expect(guest.control.waits.length).toBe(4);
  expect(guest.control.waits[0]).toBeGreaterThan(guest.clock.monotonic);
});

test("an interrupted write is short when bytes were written, and unwinds when none were", () => {
  const guest = new WasiCaller();
  guest.console.room = 3;
  guest.control.asked = true;
  expect(guest.write(1, "0123456789")).toBe(3);
  expect(() => guest.write(1, "3456789")).toThrow(Unwound);
  expect(guest.console.text(1)).toBe("012");
  guest.control.asked = false;
  guest.console.room = 100;
  expect(guest.write(1, "3456789")).toBe(7);
  expect(guest.console.text(1)).toBe("0123456789");
});

test("non-blocking descriptors say EAGAIN instead of waiting", () => {
  const guest = new WasiCaller();
  guest.ok("fd_fdstat_set_flags", 0, FDFLAGS.nonblock);
  guest.ok("fd_fdstat_set_flags", 1, FDFLAGS.nonblock);
  guest.console.room = 2;
  expect(guest.read(0, 4)).toBe("EAGAIN");
  expect(guest.write(1, "abc")).toBe(2);
  expect(guest.write(1, "c")).toBe("EAGAIN");
});

test("a broken pipe is told after what was written is counted", () => {
  const guest = new WasiCaller();
  guest.console.room = 2;
  guest.control.onWait = () => {
    guest.console.broken = true;
  };
  expect(guest.write(1, "abc")).toBe(2);
  expect(guest.write(1, "c")).toBe("EPIPE");
});

test("a read takes what is there, waits when nothing is, and ends at the end", () => {
  const guest = new WasiCaller();
  guest.console.type("hello");
  expect(guest.read(0, 3)).toBe("hel");
  expect(guest.read(0, 0)).toBe("");
  expect(guest.read(0, 30)).toBe("lo");
  guest.control.onWait = (deadline) => {
    expect(deadline).toBe(undefined);
    guest.console.type("later");
  };
  expect(guest.read(0, 30)).toBe("later");
  guest.control.onWait = () => {
    guest.console.ended = true;
  };
  expect(guest.read(0, 30)).toBe("");
  expect(guest.read(0, 30)).toBe("");
});

test("a read is scattered over its buffers", () => {
  const guest = new WasiCaller();
  guest.console.type("abcdef");
  const first = guest.alloc(2);
  const second = guest.alloc(8);
  const count = guest.alloc(4);
  guest.ok("fd_read", 0, ...guest.iovecs([first, 2], [second, 8]), count);
  expect([guest.text(first, 2), guest.text(second, 4), guest.u32(count)]).toEqual(["ab", "cdef", 6]);
});

test("an interrupted read unwinds; bytes that are there are read first", () => {
  const guest = new WasiCaller();
  guest.control.asked = true;
  guest.console.type("x");
  expect(guest.read(0, 3)).toBe("x");
  expect(() => guest.read(0, 3)).toThrow(Unwound);
});

test("wrong directions and missing rights", () => {
  const guest = new WasiCaller();
  expect(guest.read(1, 1)).toBe("ENOTCAPABLE");
  expect(guest.write(0, "x")).toBe("ENOTCAPABLE");
  expect(guest.call("fd_seek", 1, 0n, 0, 1024)).toBe("ESPIPE");
  expect(guest.call("fd_tell", 0, 1024)).toBe("ESPIPE");
  expect(guest.call("fd_sync", 1)).toBe("EINVAL");
  guest.ok("fd_fdstat_set_rights", 1, 0n, 0n);
  expect(guest.write(1, "x")).toBe("ENOTCAPABLE");
  expect(guest.call("fd_fdstat_set_rights", 1, 0x40n, 0n)).toBe("ENOTCAPABLE");
});

test("a terminal is a character device without the rights to seek, which is what isatty asks", () => {
  const guest = new WasiCaller();
  const at = guest.alloc(64);
  guest.console.terminal = true;
  guest.ok("fd_fdstat_get", 1, at);
  expect(guest.bytes[at]).toBe(2);
  expect(guest.u64(at + 8) & 0x24n).toBe(0n);
  guest.ok("fd_filestat_get", 0, at);
  expect(guest.bytes[at + 16]).toBe(2);
  guest.console.terminal = false;
  guest.ok("fd_fdstat_get", 1, at);
  expect(guest.bytes[at]).toBe(0);
});

test("unread input travels, is read before the new host's, and is not lost here either", () => {
  const source = new WasiCaller();
  source.console.type("typed before");
  expect(source.read(0, 6)).toBe("typed ");
  const state = source.host.capture();
  expect(new TextDecoder().decode(state.consoleInput)).toBe("before");
  const destination = new WasiCaller({ restored: state });
  destination.console.type(" and after");
  expect(destination.read(0, 3)).toBe("bef");
  expect(destination.read(0, 30)).toBe("ore");
  expect(destination.read(0, 30)).toBe(" and after");
  source.console.type(" and on");
  expect(source.read(0, 30)).toBe("before");
  expect(source.read(0, 30)).toBe(" and on");
});

test("an end of input travels; what lies beyond the limit stays", () => {
  const source = new WasiCaller({ pages: 8 });
  for (let typed = 0; typed < 270_000; typed += 10_000) source.console.type("x".repeat(10_000));
  source.console.ended = true;
  const full = source.host.capture();
  expect([full.consoleInput.length, full.consoleInputEnded]).toEqual([262_144, false]);
  let left = 270_000;
  while (left > 0) left -= source.read(0, 20_000).length;
  const state = source.host.capture();
  expect([state.consoleInput.length, state.consoleInputEnded]).toEqual([0, true]);
  const destination = new WasiCaller({ restored: state });
  destination.console.type("someone else's");
  expect(destination.read(0, 10)).toBe("");
});

test("closed and renumbered streams arrive as they were", () => {
  const source = new WasiCaller();
  source.ok("fd_close", 0);
  source.ok("fd_renumber", 1, 2);
  const destination = new WasiCaller({ restored: source.host.capture() });
  expect(destination.read(0, 1)).toBe("EBADF");
  expect(destination.write(1, "x")).toBe("EBADF");
  expect(destination.write(2, "to stdout")).toBe(9);
  expect(destination.console.text(1)).toBe("to stdout");
});

test("whatever the pipe takes and whenever the guest moves, each byte is written once", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.array(fc.record({ room: fc.nat(40), move: fc.boolean() }), { minLength: 1, maxLength: 200 }),
      (bytes, steps) => {
        const seen: number[] = [];
        let state: WasiState | undefined;
        let sent = 0;
        for (const { room, move } of steps) {
          const guest = new WasiCaller(state === undefined ? {} : { restored: state });
          guest.console.room = room;
          guest.control.onWait = () => {
            guest.control.asked = true;
          };
          guest.control.asked = move;
          try {
            const count = guest.write(1, bytes.subarray(sent));
            sent += Number(count);
          } catch (error) {
            expect(error).toBeInstanceOf(Unwound);
          }
          seen.push(...guest.console.output[1]);
          state = guest.host.capture();
        }
        expect(seen).toEqual([...bytes.subarray(0, sent)]);
      },
    ),
  );
});
