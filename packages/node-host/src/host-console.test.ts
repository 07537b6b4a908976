import fs from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { temporaryDirectory } from "../test/guest-directory.ts";
import { ConsoleRing, createConsoleRing } from "./console-ring.ts";
import { ConsoleInput, GuestConsole } from "./host-console.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function readAll(console: GuestConsole, length = 100): string {
  const target = new Uint8Array(length);
  const count = console.read(target);
  return count === undefined ? "END" : text(target.subarray(0, count));
}

test("the ring gives back what was put in, in order, through any sequence of sizes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(20)), { maxLength: 100 }), (steps) => {
      const ring = new ConsoleRing(createConsoleRing(16));
      let put = 0;
      let taken = 0;
      for (const [offered, wanted] of steps) {
        const room = 16 - ring.length;
        const count = ring.put(Uint8Array.from({ length: offered }, (_, index) => (put + index) & 0xff));
        expect(count).toBe(Math.min(offered, room));
        put += count;
        const target = new Uint8Array(wanted);
        const got = ring.take(target);
        expect([...target.subarray(0, got)]).toEqual(
          Array.from({ length: got }, (_, index) => (taken + index) & 0xff),
        );
        taken += got;
        expect(ring.length).toBe(put - taken);
      }
    }),
  );
});

test("the counters run through 2^32", () => {
  const memory = createConsoleRing(16);
  new Int32Array(memory).fill(-3, 0, 2);
  const ring = new ConsoleRing(memory);
  expect(ring.put(new Uint8Array([1, 2, 3, 4, 5]))).toBe(5);
  const target = new Uint8Array(9);
  expect(ring.take(target)).toBe(5);
  expect([...target]).toEqual([1, 2, 3, 4, 5, 0, 0, 0, 0]);
});

test("input arrives, wakes the guest, and ends", async () => {
  const wake = vi.fn<() => void>();
  const input = new ConsoleInput(wake);
  const guest = new GuestConsole(input.memory);
  const stream = new PassThrough();
  input.attach(stream);
  expect(readAll(guest)).toBe("");
  expect(guest.readable()).toBe(0);
  stream.write("hello");
  await vi.waitFor(() => expect(wake).toHaveBeenCalledTimes(1));
  expect(guest.readable()).toBe(5);
  expect(readAll(guest, 2)).toBe("he");
  stream.end();
  await vi.waitFor(() => expect(wake).toHaveBeenCalledTimes(2));
  expect(guest.readable()).toBe(3);
  expect(readAll(guest)).toBe("llo");
  expect(readAll(guest)).toBe("END");
  expect(guest.readable()).toBe("end");
});

test("a stream that is over before it is attached is the end of input", async () => {
  const stream = new PassThrough();
  stream.end();
  stream.resume();
  await vi.waitFor(() => expect(stream.readableEnded).toBe(true));
  const input = new ConsoleInput(() => {});
  input.attach(stream);
  expect(readAll(new GuestConsole(input.memory))).toBe("END");
});

test("a guest that does not read stops the stream; every byte comes in order once it does", async () => {
  const input = new ConsoleInput(() => {}, 64);
  const guest = new GuestConsole(input.memory);
  const stream = new PassThrough({ highWaterMark: 128 });
  const sent = Array.from({ length: 400 }, (_, index) => `line ${index}\n`).join("");
  input.attach(stream);
  stream.end(sent);
  await vi.waitFor(() => expect(guest.readable()).toBe(64));
  expect(stream.isPaused()).toBe(true);
  let received = "";
  await vi.waitFor(
    () => {
      for (let part = readAll(guest, 50); part !== ""; part = readAll(guest, 50)) {
        if (part === "END") return;
        received += part;
      }
      throw new Error("more to come");
    },
    { interval: 1, timeout: 5000 },
  );
  expect(received).toBe(sent);
});

test("what the guest did not read can be looked at and stays for it, and the stream is left for others", async () => {
  const input = new ConsoleInput(() => {}, 8);
  const guest = new GuestConsole(input.memory);
  const stream = new PassThrough();
  input.attach(stream);
  stream.write("0123456789abcdef");
  await vi.waitFor(() => expect(guest.readable()).toBe(8));
  expect(readAll(guest, 3)).toBe("012");
  input.detach();
  for (let times = 0; times < 2; times++)
    expect({ ...input.unread(), bytes: text(input.unread().bytes) }).toEqual({
      bytes: "3456789abcdef",
      ended: false,
    });
  expect(stream.isPaused()).toBe(true);
  stream.write("next");
  expect(text(stream.read() as Uint8Array)).toBe("next");
  let received = "";
  await vi.waitFor(() => {
    received += readAll(guest);
    expect(received).toBe("3456789abcdef");
  });
});

test("an end of input that waits behind bytes is seen; a stream that fails while detached does no harm", async () => {
  const input = new ConsoleInput(() => {}, 8);
  const stream = new PassThrough();
  input.attach(stream);
  stream.end("0123456789");
  await vi.waitFor(() => expect(input.unread().ended).toBe(true));
  expect(text(input.unread().bytes)).toBe("0123456789");

  const other = new ConsoleInput(() => {}, 8);
  const failing = new PassThrough();
  other.attach(failing);
  other.detach();
  failing.destroy(new Error("the terminal hung up"));
  await vi.waitFor(() => expect(failing.closed).toBe(true));
  expect(other.unread().ended).toBe(false);
  other.attach(failing);
  expect(other.unread().ended).toBe(true);
});

test("output goes to the descriptors it was given", () => {
  const directory = temporaryDirectory();
  const files = [1, 2].map((stream) => fs.openSync(path.join(directory, `${stream}`), "w"));
  const guest = new GuestConsole(new ConsoleInput(() => {}).memory, { 1: files[0] ?? -1, 2: files[1] ?? -1 });
  expect(guest.write(1, new TextEncoder().encode("out"))).toBe(3);
  expect(guest.write(2, new TextEncoder().encode("err"))).toBe(3);
  expect(guest.write(1, new Uint8Array(0))).toBe(0);
  expect(guest.isTerminal(1)).toBe(false);
  guest.close();
  for (const file of files) fs.closeSync(file);
  expect(fs.readFileSync(path.join(directory, "1"), "utf8")).toBe("out");
  expect(fs.readFileSync(path.join(directory, "2"), "utf8")).toBe("err");
});

test("a full pipe takes nothing instead of blocking, and goes on when it is read; a closed one is EPIPE", async () => {
  const directory = temporaryDirectory();
  const fifo = path.join(directory, "pipe");
  const { execFileSync } = await import("node:child_process");
  execFileSync("mkfifo", [fifo]);
  const reader = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  // The guest's descriptor itself blocks, as one that a shell set up does.
  const writer = fs.openSync(fifo, fs.constants.O_WRONLY);
  const guest = new GuestConsole(new ConsoleInput(() => {}).memory, { 1: writer, 2: writer });
  const chunk = new Uint8Array(50_000).fill(0x61);
  let written = 0;
  for (let count = -1; count !== 0; written += count) count = guest.write(1, chunk);
  expect(written).toBeGreaterThanOrEqual(4096);
  expect(guest.write(1, chunk)).toBe(0);
  let read = 0;
  const target = new Uint8Array(1 << 20);
  read += fs.readSync(reader, target);
  expect(read).toBe(written);
  expect(guest.write(1, chunk)).toBeGreaterThan(0);
  fs.closeSync(reader);
  expect(() => guest.write(1, chunk)).toThrow("EPIPE");
  guest.close();
  fs.closeSync(writer);
});
