import { describe, expect, it } from "vitest";
import { controlMemory, FakeThread, SNAPSHOT } from "../test/fake-thread.ts";
import { GuestHandle } from "./guest-handle.ts";
import { LARGEST_STACK_MIB, type ThreadState } from "./guest-messages.ts";

const CONFIG = { args: ["x"], env: [], preopens: [] };
const STATE: ThreadState = {
  ...SNAPSHOT,
  files: { roots: [], descriptors: new Map() },
  variant: "tracked",
};
const ERROR = { code: "DEVICE_STATE", message: "a file cannot be looked at" } as const;

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Fixture {
  readonly threads: readonly FakeThread[];
  readonly handle: GuestHandle;
  /** The guest's thread. */
  readonly thread: FakeThread;
}

function newHandle(stackMib = 8): Fixture {
  const threads: FakeThread[] = [];
  const startThread = (size: number): FakeThread => {
    const thread = new FakeThread(size);
    threads.push(thread);
    return thread;
  };
  const handle = new GuestHandle(startThread, controlMemory(), stackMib);
  return { threads, handle, thread: threads[0]! };
}

async function running(stackMib?: number): Promise<Fixture> {
  const fixture = newHandle(stackMib);
  const { handle, thread } = fixture;
  thread.report({ kind: "created" });
  const created = handle.create(CONFIG);
  await settle();
  thread.report({ kind: "ready" });
  await created;
  await handle.start();
  expect(thread.commands()).toEqual(["create", "run"]);
  return fixture;
}

describe("the agent's end of a guest thread", () => {
  it("answers a stop with the guest's end when it ends instead", async () => {
    const { handle, thread } = await running();
    const stop = handle.stop();
    await settle();
    thread.report({ kind: "exited", exit: { kind: "exit", status: 3 } });
    expect(await stop).toBeUndefined();
    expect(await handle.exited).toEqual({ kind: "exit", status: 3 });
    expect(await handle.use("tracked")).toBeUndefined();
    await handle.start();
    expect(thread.commands()).toEqual([]);
  });

  it("tells whoever waits for the thread that it could not come up", async () => {
    const { handle, thread } = newHandle();
    const created = handle.created();
    const used = handle.create(CONFIG);
    thread.fail(new Error("out of memory"));
    await expect(created).rejects.toMatchObject({
      message: expect.stringMatching(/out of memory/) as string,
    });
    await expect(used).rejects.toThrow(/out of memory/);
    expect(await handle.exited).toMatchObject({ kind: "trap" });
  });

  it("rejects what is under way when it is disposed of", async () => {
    const { handle, thread } = newHandle();
    thread.report({ kind: "created" });
    const create = handle.create(CONFIG);
    const start = handle.start();
    await settle();
    await handle.dispose();
    await expect(create).rejects.toThrow(/ended by its agent/);
    await start;
    expect(thread.isTerminated).toBe(true);
    expect(handle.hasEnded).toBe(true);
    expect(thread.commands()).toEqual(["create"]);
    // It has not ended by itself.
    expect(await Promise.race([handle.exited, settle()])).toBeUndefined();
  });

  it("takes a guest whose state could not be captured for stopped", async () => {
    const { handle, thread } = await running();
    const stop = handle.stop();
    await settle();
    thread.report({ kind: "failed", error: ERROR });
    await expect(stop).rejects.toThrow(ERROR.message);
    expect(handle.isStopped).toBe(true);
    await handle.start();
    expect(thread.commands()).toEqual(["run"]);
  });

  it("takes a guest whose variant could not be changed for running, and asks again", async () => {
    const { handle, thread } = await running();
    const used = handle.use("tracked");
    await settle();
    thread.report({ kind: "failed", error: ERROR });
    await expect(used).rejects.toThrow(ERROR.message);
    expect(handle.isStopped).toBe(false);
    const back = handle.use("plain");
    await settle();
    thread.report({ kind: "switched", snapshot: SNAPSHOT });
    expect(await back).toEqual(SNAPSHOT);
  });

  it("takes a guest that ends right behind its report for ended", async () => {
    const { handle, thread } = await running();
    const stop = handle.stop();
    await settle();
    thread.report({ kind: "stopped", snapshot: SNAPSHOT });
    thread.fail(new Error("out of memory"));
    await stop;
    expect([handle.isStopped, handle.hasEnded]).toEqual([false, true]);
  });

  it("refuses to start a guest that has not arrived", async () => {
    const { handle, thread } = newHandle();
    thread.report({ kind: "created" });
    await expect(handle.start()).rejects.toMatchObject({ code: "WRONG_STATE" });
  });
});

describe("a thread whose stack is too small", () => {
  it("is replaced by one with twice the stack, which answers what was asked of it", async () => {
    const { handle, threads, thread } = await running();
    const stop = handle.stop();
    await settle();
    thread.report({ kind: "out-of-stack", state: STATE });
    const larger = threads[1]!;
    expect([larger.stackMib, handle.stackMib]).toEqual([16, 16]);
    larger.report({ kind: "created" });
    expect(larger.posted).toEqual([{ kind: "take-over", state: STATE }]);
    expect(thread.isTerminated).toBe(false);
    larger.report({ kind: "ready" });
    expect(larger.commands()).toEqual(["take-over", "run"]);
    expect(thread.isTerminated).toBe(true);
    thread.fail(new Error("it was terminated"));
    larger.report({ kind: "stopped", snapshot: SNAPSHOT });
    expect(await stop).toEqual(SNAPSHOT);
  });

  it("is replaced again when that is too small as well, until there is no larger one", async () => {
    const { handle, threads } = await running(LARGEST_STACK_MIB / 4);
    for (const thread of threads) {
      thread.report({ kind: "created" });
      thread.report({ kind: "ready" });
      thread.report({ kind: "out-of-stack", state: STATE });
    }
    expect(threads.map(({ stackMib }) => stackMib)).toEqual([
      LARGEST_STACK_MIB / 4,
      LARGEST_STACK_MIB / 2,
      LARGEST_STACK_MIB,
    ]);
    expect(await handle.exited).toMatchObject({
      kind: "trap",
      message: expect.stringMatching(/stack of 4096 MiB/) as string,
    });
  });

  it("ends the guest with a reason when the other cannot take over", async () => {
    const { handle, threads, thread } = await running();
    thread.report({ kind: "out-of-stack", state: STATE });
    threads[1]!.report({ kind: "created" });
    threads[1]!.report({ kind: "failed", error: ERROR });
    expect(await handle.exited).toMatchObject({ message: expect.stringContaining(ERROR.message) as string });
  });

  it("leaves no thread behind when it is disposed of meanwhile", async () => {
    const { handle, threads, thread } = await running();
    thread.report({ kind: "out-of-stack", state: STATE });
    const disposed = handle.dispose();
    threads[1]!.report({ kind: "out-of-stack", state: STATE });
    await disposed;
    expect(threads.map(({ isTerminated }) => isTerminated)).toEqual([true, true]);
  });
});
