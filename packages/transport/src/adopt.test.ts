import { once } from "node:events";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { formatUri } from "./address.ts";
import type { Channel, ChannelOptions, Listener, ReleasedConnection } from "./channel.ts";
import { connect, listen } from "./uri.ts";

const directory = mkdtempSync(join(tmpdir(), "transport-"));
afterAll(() => rmSync(directory, { recursive: true }));

const BYTES = 3_000_000;
const pattern = Buffer.alloc(BYTES);
for (let at = 0; at < BYTES; at += 4) pattern.writeUInt32LE(at, at);

interface Pair extends AsyncDisposable {
  readonly near: Channel;
  readonly far: Channel;
}

async function pair(uri: string, options?: ChannelOptions): Promise<Pair> {
  const listener: Listener = await listen(uri, options);
  const [far, near] = await Promise.all([connect(formatUri(listener.address)), listener.accept()]);
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      far.destroy();
      await Promise.all([near.closed, far.closed, listener.close()]);
    },
  };
}

/** The thread sends back what was read before, and everything else. */
function adoptInThread(connection: ReleasedConnection): Worker {
  return new Worker(new URL("./testing/adopting-worker.ts", import.meta.url), {
    workerData: connection,
    trackUnmanagedFds: false,
  });
}

async function readAll(channel: Channel): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const chunk of channel.read()) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces);
}

/** What this process has open, each by a name of its own: `socket:[4711]`. */
function descriptors(): string[] {
  return readdirSync("/proc/self/fd").map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // That of the directory itself.
      return "";
    }
  });
}

describe.each([
  ["tcp:127.0.0.1:0", {}],
  ["tcp:127.0.0.1:0", { readBuffer: () => new Uint8Array(10_000) }],
  [`unix:${join(directory, "a")}`, {}],
  [`unix:${join(directory, "b")}`, { readBuffer: () => new Uint8Array(10_000) }],
])("an accepted connection of %s with %o", (uri, options) => {
  test("goes on in another thread where this one has stopped to read", async () => {
    const before = descriptors();
    {
      await using made = await pair(uri, options);
      const { near, far } = made;
      const sending = far.write(pattern).then(() => far.end());
      const echo = readAll(far);
      const chunks = near.read();
      const first = Buffer.from((await chunks.next()).value as Uint8Array);
      const released = (await near.release!())!;
      expect(near.error?.message).toContain("another thread has it");
      expect(await chunks.next().catch((error: unknown) => error)).toBe(near.error);
      const worker = adoptInThread(released);
      const ended = once(worker, "exit");
      await sending;
      expect(Buffer.compare(Buffer.concat([first, await echo]), pattern)).toBe(0);
      expect(await ended).toEqual([0]);
    }
    // Less is no leak: what a test before has left may close meanwhile, such as the pipes of a process that ends.
    expect(descriptors().filter((name) => !before.includes(name))).toEqual([]);
  });

  test("is not given away when it has broken", async () => {
    await using made = await pair(uri, options);
    made.near.destroy();
    expect(await made.near.release!()).toBeUndefined();
  });
});

test("a WebSocket stays in its thread, and works as before", async () => {
  await using made = await pair("ws://127.0.0.1:0/");
  const { near, far } = made;
  const sending = far.write(pattern).then(() => far.end());
  expect(await near.release!()).toBeUndefined();
  expect(Buffer.compare(await readAll(near), pattern)).toBe(0);
  await sending;
});
