import { MigrationError } from "@peregrine/protocol";
import * as fc from "fast-check";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatUri } from "../address.ts";
import type { Channel, ChannelOptions, Listener } from "../channel.ts";
import { connect, listen } from "../uri.ts";
import { fillPattern, readAll, readPattern, writePattern } from "./streams.ts";

export interface TransportFixture {
  /** A URI that can be listened on; another one at every call. */
  readonly uri: string;
  dispose(): Promise<void>;
}

const MiB = 1 << 20;

/** More than any kernel keeps for one connection. */
const KERNEL_BUFFERS = 32 * MiB;

/** What every transport must do, whatever is below it. */
export function transportCompliance(name: string, factory: () => Promise<TransportFixture>): void {
  describe(`${name} as a transport`, () => {
    let fixture: TransportFixture;
    let listener: Listener;
    let uri: string;
    const channels: Channel[] = [];

    beforeEach(async () => {
      fixture = await factory();
      listener = await listen(fixture.uri);
      uri = formatUri(listener.address);
    });

    afterEach(async () => {
      for (const channel of channels.splice(0)) channel.destroy();
      await listener.close();
      await fixture.dispose();
    });

    async function open(options: ChannelOptions = {}): Promise<[Channel, Channel]> {
      const pair = await Promise.all([connect(uri, options), listener.accept()]);
      channels.push(...pair);
      return pair;
    }

    test("bytes arrive intact and in order, however they are cut", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 }),
          fc.boolean(),
          async (sizes, fromListener) => {
            const [client, server] = await open();
            const [writer, reader] = fromListener ? [server, client] : [client, server];
            const received = readPattern(reader);
            let position = 0;
            for (const size of sizes) {
              const bytes = new Uint8Array(size);
              fillPattern(bytes, position);
              await writer.write(bytes);
              bytes.fill(0);
              position += size;
            }
            expect(writer.bytesWritten).toBe(position);
            await writer.end();
            expect(await received).toBe(position);
            expect(reader.bytesRead).toBe(position);
            writer.destroy();
            reader.destroy();
          },
        ),
        { numRuns: 15 },
      );
    });

    test("a large transfer in both directions at once, through buffers that are used again", async () => {
      const [client, server] = await open();
      const total = 24 * MiB + 12_345;
      const send = async (channel: Channel, size: number): Promise<void> => {
        await writePattern(channel, total, size);
        await channel.end();
      };
      const results = await Promise.all([
        readPattern(server),
        readPattern(client),
        send(client, MiB),
        send(server, 65_536),
      ]);
      expect(results.slice(0, 2)).toEqual([total, total]);
      await Promise.all([client.closed, server.closed]);
      expect([client.error, server.error]).toEqual([undefined, undefined]);
    });

    test("a buffer in shared memory can be written", async () => {
      const [client, server] = await open();
      const bytes = new Uint8Array(new SharedArrayBuffer(100_000));
      fillPattern(bytes, 0);
      const received = readPattern(server);
      await client.write(bytes);
      await client.end();
      expect(await received).toBe(bytes.length);
    });

    test("a reader that does not read stops the writer at a bounded amount", async () => {
      const [client, server] = await open();
      const total = 2 * KERNEL_BUFFERS;
      let finished = false;
      const writing = writePattern(client, total, MiB).then(() => {
        finished = true;
        return client.end();
      });
      await untilStill(() => client.bytesWritten);
      expect(finished).toBe(false);
      expect(client.bytesWritten).toBeLessThan(KERNEL_BUFFERS);
      expect(await readPattern(server)).toBe(total);
      await writing;
    });

    test("a peer that takes nothing for too long fails the channel", async () => {
      const [client] = await open({ stallTimeout: 50 });
      const error = await failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toBe(`Connection to '${client.peer}' failed: the peer took no data for 0.05 s`);
      expect(client.error).toBe(error);
    });

    test("after its end a channel still receives", async () => {
      const [client, server] = await open();
      await client.write(Buffer.from("question"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("question");
      await server.write(Buffer.from("answer"));
      await server.end();
      expect((await readAll(client)).toString()).toBe("answer");
      await Promise.all([client.closed, server.closed]);
      expect([client.error, server.error]).toEqual([undefined, undefined]);
    });

    test("what was written before the end arrives although nobody waited for it", async () => {
      const [client, server] = await open();
      const bytes = new Uint8Array(3 * MiB);
      fillPattern(bytes, 0);
      const writing = Promise.all([client.write(bytes), client.end()]);
      expect(await readPattern(server)).toBe(bytes.length);
      await writing;
    });

    test("a reader that left goes on where it stopped", async () => {
      const [client, server] = await open();
      await client.write(Buffer.from("first"));
      for await (const chunk of server.read()) {
        expect(Buffer.from(chunk).toString()).toBe("first");
        break;
      }
      await client.write(Buffer.from("second"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("second");
    });

    test("writing after the end is refused", async () => {
      const [client] = await open();
      await client.end();
      const error = await failure(client.write(new Uint8Array(1)));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toBe(`Connection to '${client.peer}' failed: write after end`);
      expect(client.error).toBeUndefined();
      await client.end();
    });

    test("destroying a channel rejects everything that is pending on it, with the given error", async () => {
      const [client] = await open();
      const reason = new MigrationError("CANCELLED", "the migration was cancelled");
      const pending = [failure(readAll(client)), failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB))];
      await untilStill(() => client.bytesWritten);
      client.destroy(reason);
      expect(await Promise.all(pending)).toEqual([reason, reason]);
      await client.closed;
      expect(client.error).toBe(reason);
      expect(await failure(client.write(new Uint8Array(1)))).toBe(reason);
      expect(await failure(client.end())).toBe(reason);
      expect(await failure(readAll(client))).toBe(reason);
    });

    test("a destroyed channel without a reason says that it was closed here", async () => {
      const [client] = await open();
      client.destroy();
      await client.closed;
      expect(client.error?.code).toBe("CHANNEL_FAILED");
      expect(client.error?.message).toBe(`Connection to '${client.peer}' failed: closed at this end`);
    });

    test("a peer that is gone fails the writer", async () => {
      const [client, server] = await open();
      server.destroy();
      const error = await failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toMatch(/^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u);
      expect(error.message).toContain(`'${client.peer}'`);
      await client.closed;
      expect(client.error).toBe(error);
    });

    test("a peer that goes away with data unread fails the channel under a writer that waits", async () => {
      const [client, server] = await open();
      const writing = failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB));
      await untilStill(() => client.bytesWritten);
      server.destroy();
      const error = await writing;
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toMatch(/ failed: (Broken pipe|Connection reset by peer)$/u);
    });

    test("the last words of a peer that goes away with data unread are still read", async () => {
      const [client, server] = await open();
      const heard: Uint8Array[] = [];
      const reading = (async () => {
        for await (const chunk of client.read()) heard.push(chunk);
      })();
      const outcome = Promise.all([failure(reading), failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB))]);
      await untilStill(() => client.bytesWritten);
      await server.write(Buffer.from("refused"));
      server.destroy();
      const [first, second] = await outcome;
      expect(Buffer.concat(heard).toString()).toBe("refused");
      expect(first).toBe(second);
    });

    test("a peer that goes away ends the reader", async () => {
      const [client, server] = await open();
      await client.write(Buffer.from("last words"));
      client.destroy();
      expect((await readAll(server)).toString()).toBe("last words");
    });

    test("connecting can be given up, before and after it began", async () => {
      const early = await failure(connect(uri, { signal: AbortSignal.abort() }));
      expect(early.code).toBe("CANCELLED");
      const abort = new AbortController();
      const connecting = failure(connect(uri, { signal: abort.signal }));
      abort.abort();
      expect((await connecting).code).toBe("CANCELLED");
      const reason = new MigrationError("BLOCKED", "not now");
      expect(await failure(connect(uri, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    });

    test("giving up has no effect on a connected channel", async () => {
      const abort = new AbortController();
      const [client, server] = await Promise.all([connect(uri, { signal: abort.signal }), listener.accept()]);
      channels.push(client, server);
      abort.abort();
      await client.write(Buffer.from("still here"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("still here");
    });

    test("connections are accepted in their order, whoever comes first", async () => {
      const accepting = listener.accept();
      const clients: Channel[] = [];
      for (const word of ["one", "two", "three"]) {
        const client = await connect(uri);
        clients.push(client);
        await client.write(Buffer.from(word));
        await client.end();
      }
      const servers = [await accepting, await listener.accept(), await listener.accept()];
      channels.push(...clients, ...servers);
      const words = await Promise.all(servers.map(readAll));
      expect(words.map(String)).toEqual(["one", "two", "three"]);
    });

    test("closing a listener ends waiting calls and drops waiting connections, but not accepted channels", async () => {
      const [client, server] = await open();
      const waiting = await connect(uri);
      channels.push(waiting);
      const first = await listener.accept();
      channels.push(first);
      const unaccepted = await connect(uri);
      channels.push(unaccepted);
      await listener.close();
      const error = await failure(listener.accept());
      expect(error.code).toBe("LISTEN_FAILED");
      expect(await readToTheEnd(unaccepted)).toBe(0);
      await client.write(Buffer.from("alive"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("alive");
      expect((await failure(connect(uri))).code).toBe("CONNECT_FAILED");
    });

    test("closing a listener rejects who waits for a connection", async () => {
      const accepting = failure(listener.accept());
      await listener.close();
      expect((await accepting).code).toBe("LISTEN_FAILED");
      await listener.close();
    });

    test("an address that is in use cannot be listened on, and is free after the close", async () => {
      const error = await failure(listen(uri));
      expect(error.code).toBe("LISTEN_FAILED");
      expect(error.message).toMatch(/^Failed to listen on '.+': Address already in use$/u);
      const [client] = await open();
      await listener.close();
      listener = await listen(uri);
      expect(formatUri(listener.address)).toBe(uri);
      expect(client.error).toBeUndefined();
      await open();
    });

    test("it works in a worker thread", async () => {
      const worker = new Worker(new URL("./echo-worker.ts", import.meta.url), { workerData: uri });
      const answer = once(worker, "message");
      const server = await listener.accept();
      channels.push(server);
      const received = readPattern(server);
      await writePattern(server, 4 * MiB, 100_000);
      await server.end();
      expect(await received).toBe(4 * MiB);
      expect(await answer).toEqual([4 * MiB]);
      await worker.terminate();
    });
  });
}

async function failure(promise: Promise<unknown>): Promise<MigrationError> {
  const outcome: unknown = await promise.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (!MigrationError.is(outcome)) throw outcome;
  return outcome;
}

/** How much arrives until the channel ends or fails, for a peer that may do either. */
async function readToTheEnd(channel: Channel): Promise<number> {
  await readAll(channel).catch((error: unknown) => {
    if (!MigrationError.is(error)) throw error;
  });
  return channel.bytesRead;
}

/** Waits until a counter has stopped. One that stops too early only makes the caller's bounds harder to miss. */
async function untilStill(counter: () => number): Promise<void> {
  for (let last = -1; last !== counter();) {
    last = counter();
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}
