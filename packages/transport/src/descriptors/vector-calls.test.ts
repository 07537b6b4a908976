import { PLACE_BYTES, putPlace } from "@peregrine/protocol";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { descriptorOf } from "./descriptor-of.ts";
import { gatherListOf } from "../testing/gathering-channels.ts";
import { loadVectorCalls } from "./vector-calls.ts";
import type { VectorCalls } from "./vector-calls.ts";

const calls = await loadVectorCalls();

let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill();
});

/** A socket at whose other end a shell writes, and nobody reads here. */
function socketOf(command: string): number {
  child = spawn("sh", ["-c", command], { stdio: ["pipe", "pipe", "inherit"] });
  return descriptorOf(child.stdout!)!;
}

function placeFor(bytes: Uint8Array, vectorCalls: VectorCalls): Uint8Array {
  const vector = new Uint8Array(PLACE_BYTES);
  putPlace(new Uint32Array(vector.buffer), 0, vectorCalls.addressOf(bytes), bytes.length);
  return vector;
}

describe.runIf(calls !== undefined)("a read to places of memory", () => {
  test("waits for what comes soon", () => {
    const into = new Uint8Array(8);
    const socket = socketOf("read go; sleep 0.2; printf abc; exec sleep 60");
    expect(calls!.read(socket, placeFor(into, calls!), 0)).toBe(0);
    child!.stdin!.write("\n");
    expect(calls!.read(socket, placeFor(into, calls!), 30_000)).toBe(3);
    expect(Buffer.from(into).toString("latin1", 0, 3)).toBe("abc");
  });

  test("goes on waiting behind a signal", () => {
    const ignore = (): void => {};
    process.on("SIGUSR2", ignore);
    onTestFinished(() => void process.off("SIGUSR2", ignore));
    const socket = socketOf("sleep 0.2; kill -USR2 $PPID; sleep 0.2; printf abc; exec sleep 60");
    expect(calls!.read(socket, placeFor(new Uint8Array(8), calls!), 30_000)).toBe(3);
  });

  test("waits for nothing longer than it may", () => {
    const socket = socketOf("exec sleep 60");
    const start = performance.now();
    expect(calls!.read(socket, placeFor(new Uint8Array(8), calls!), 40)).toBe(0);
    expectAbout40(performance.now() - start);
  });

  test("waits for nothing behind the end", () => {
    const socket = socketOf("exit 0");
    const start = performance.now();
    expect(calls!.read(socket, placeFor(new Uint8Array(8), calls!), 30_000)).toBe(0);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test("says why it fails", () => {
    const closed = 1_000_000;
    const vector = placeFor(new Uint8Array(8), calls!);
    expect(() => calls!.read(closed, vector, 30_000)).toThrowError(
      expect.objectContaining({ code: "EBADF" }),
    );
  });
});

/** A busy host may take much longer, but not as long as somebody who waits for seconds instead of milliseconds. */
function expectAbout40(milliseconds: number): void {
  expect(milliseconds).toBeGreaterThan(35);
  expect(milliseconds).toBeLessThan(20_000);
}

/** More than a socket takes that nobody reads from. */
const MUCH = 8 * 1024 * 1024;

describe.runIf(calls !== undefined)("a write from places of memory", () => {
  test("waits for room that comes soon", () => {
    const socket = writableOf("sleep 0.2; exec cat > /dev/null");
    const list = gatherListOf(calls!, [new Uint8Array(MUCH)]);
    calls!.write(socket, list, 0);
    expect(list.length).toBeGreaterThan(0);
    calls!.write(socket, list, 30_000);
    expect(list.length).toBe(0);
  });

  test("waits no longer than it may", () => {
    const socket = writableOf("exec sleep 60");
    const list = gatherListOf(calls!, [new Uint8Array(MUCH)]);
    const start = performance.now();
    calls!.write(socket, list, 40);
    expectAbout40(performance.now() - start);
    expect(list.length).toBeGreaterThan(0);
  });

  test("waits for nothing when there will be no room any more, and says why", () => {
    const socket = writableOf("sleep 0.2; exec sleep 60 <&-");
    const list = gatherListOf(calls!, [new Uint8Array(MUCH)]);
    const start = performance.now();
    expect(() => calls!.write(socket, list, 30_000)).toThrowError(expect.objectContaining({ code: "EPIPE" }));
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

/** A socket from whose other end a shell reads, or does not. */
function writableOf(command: string): number {
  child = spawn("sh", ["-c", command], { stdio: ["pipe", "ignore", "inherit"] });
  return descriptorOf(child.stdin!)!;
}
