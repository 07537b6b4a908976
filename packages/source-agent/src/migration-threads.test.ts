import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { MigrationThreads } from "./migration-threads.ts";
import { Source } from "./testing/source.ts";

/** Adds each thread that is started from now on. It ends with the test. */
function watch(): readonly Worker[] {
  const started: Worker[] = [];
  const note = (worker: Worker): void => void started.push(worker);
  process.on("worker", note);
  onTestFinished(async () => {
    process.off("worker", note);
    for (const worker of started) await worker.terminate();
  });
  return started;
}

/** Threads are told of when the present turn is over. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("migration threads", () => {
  test("one is started ahead, and given out once", async () => {
    const all = watch();
    const threads = new MigrationThreads();
    threads.prepare();
    threads.prepare();
    await nextTurn();
    expect(all).toHaveLength(1);
    expect(threads.take()).toBe(all[0]);
    const other = threads.take();
    await nextTurn();
    expect(all).toEqual([all[0], other]);
  });

  test("one that has ended while it waited is not given out", async () => {
    const all = watch();
    const threads = new MigrationThreads();
    threads.prepare();
    await nextTurn();
    await all[0]!.terminate();
    const taken = threads.take();
    await nextTurn();
    expect(all).toEqual([all[0], taken]);
    expect(taken).not.toBe(all[0]);
  });

  test("the one that waits ends with the agent", async () => {
    const all = watch();
    const threads = new MigrationThreads();
    threads.prepare();
    await nextTurn();
    const gone = once(all[0]!, "exit");
    await threads.dispose();
    await gone;
  });

  test("a migration is sent by the one that waits, and the next one by another", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    const all = watch();
    source.migration.prepare();
    source.migration.migrate("unix:/nobody/listens");
    expect(await source.ended()).toBe("failed");
    expect(all).toHaveLength(1);
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(all).toHaveLength(2);
    source.expectSame(receiver);
  });

  test("a host that has none harms nothing, and what cannot be sent without one is told", async () => {
    let isFull = true;
    const threads = new MigrationThreads(() => {
      if (isFull) throw new Error("ERR_WORKER_INIT_FAILED: EAGAIN");
      isFull = true;
      return new MigrationThreads().take();
    });
    await using source = await Source.make({ threads });
    await using receiver = await source.receiver();
    source.migration.prepare();
    for (let attempt = 1; attempt <= 2; attempt++) {
      const refused = expect.objectContaining({
        code: "BLOCKED",
        message: expect.stringContaining("EAGAIN"),
      });
      expect(() => source.migration.migrate(receiver.uri)).toThrow(refused);
      expect([source.migration.status, source.migration.error?.code]).toEqual(["failed", "BLOCKED"]);
    }
    await source.expectUntouched();
    isFull = false;
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
  });

  test("none is started for an agent that is about to end", async () => {
    await using source = await Source.make();
    await source.migration.dispose();
    const all = watch();
    source.migration.prepare();
    await nextTurn();
    expect(all).toHaveLength(0);
  });
});
