import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";
import { afterEach, expect, test, vi } from "vitest";
import { closeAll, deferred, refusal, TCP } from "../test/arrival.ts";
import { stoppedSource } from "../test/machines.ts";
import { Sender } from "../test/sender.ts";
import { TestStream } from "../test/stream-maker.ts";

afterEach(async () => {
  allowThreads();
  await closeAll();
});

/** As Node 24 throws it where the limit of processes is reached. */
const noThread = Object.assign(new Error("EAGAIN"), { code: "ERR_WORKER_INIT_FAILED" });

function refuseThreads(error: Error): void {
  vi.spyOn(threads, "Worker").mockImplementation(function refuse() {
    throw error;
  });
  syncBuiltinESMExports();
}

function allowThreads(): void {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
}

test("a destination that gets no thread says so, and can listen when there is one", async () => {
  const { guest, incoming } = deferred();
  refuseThreads(noThread);
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(await refusal(incoming.listen({ uri: TCP }))).toMatchObject({
      code: "LISTEN_FAILED",
      message:
        `Failed to listen on '${TCP}': no thread can be started for it (EAGAIN); ` +
        "allow this user or container more processes and threads, or end some",
      cause: noThread,
    });
    expect(incoming.query()).toEqual({ kind: "setup" });
  }
  expect(guest.run.state).toBe("inmigrate");
  allowThreads();
  const sender = await Sender.connect(await incoming.listen({ uri: TCP }));
  await sender.send((await TestStream.of((await stoppedSource()).machine)).bytes);
  expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
});

test("a destination that gets no thread can be closed", async () => {
  const { incoming } = deferred();
  refuseThreads(noThread);
  await refusal(incoming.listen({ uri: TCP }));
  await incoming.close();
  expect(await incoming.done).toMatchObject({ kind: "failed", error: { code: "CANCELLED" } });
});

test("a thread that cannot be started for another reason is a defect", async () => {
  const { incoming } = deferred();
  refuseThreads(new Error("() => {} could not be cloned"));
  expect((await refusal(incoming.listen({ uri: TCP }))).code).toBe("INTERNAL");
  expect(incoming.query()).toEqual({ kind: "setup" });
});
