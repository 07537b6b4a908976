import { MigrationError } from "@peregrine/protocol";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { formatUri } from "../address.ts";
import type { Channel, ConnectOptions } from "../channel.ts";
import { connect, listen } from "../uri.ts";
import type { Endpoint, TransportFixture } from "./fixture.ts";
import { failure, Opened } from "./opened.ts";
import { readAll, readPattern, writePattern } from "./streams.ts";

const MiB = 1 << 20;

/** What holds where any number of channels can be opened to one address. */
export function listeners(factory: () => Promise<TransportFixture>): void {
  describe("that is listened on", () => {
    const opened = new Opened(factory);
    const endpoint = (): Endpoint => {
      const { endpoint: found } = opened.fixture;
      if (found === undefined) throw new Error("the fixture of a transport that listens has no listener");
      return found;
    };
    const dialing = (options: ConnectOptions = {}): Promise<Channel> =>
      connect(endpoint().connectUri, { ...options, tls: endpoint().clientTls });
    const dial = async (): Promise<Channel> => opened.keep(await dialing());
    const accept = async (): Promise<Channel> => opened.keep(await endpoint().listener.accept());

    test("connecting can be given up, before and after it began", async () => {
      const early = await failure(dialing({ signal: AbortSignal.abort() }));
      expect(early.code).toBe("CANCELLED");
      const abort = new AbortController();
      const connecting = failure(dialing({ signal: abort.signal }));
      abort.abort();
      expect((await connecting).code).toBe("CANCELLED");
      const reason = new MigrationError("BLOCKED", "not now");
      expect(await failure(dialing({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    });

    test("giving up has no effect on a connected channel", async () => {
      const abort = new AbortController();
      const [client, server] = await Promise.all([dialing({ signal: abort.signal }), accept()]);
      opened.keep(client);
      abort.abort();
      await client.write(Buffer.from("still here"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("still here");
    });

    test("connections are accepted in their order, whoever comes first", async () => {
      const accepting = accept();
      for (const word of ["one", "two", "three"]) {
        const client = await dial();
        await client.write(Buffer.from(word));
        await client.end();
      }
      const servers = [await accepting, await accept(), await accept()];
      const words = await Promise.all(servers.map(readAll));
      expect(words.map(String)).toEqual(["one", "two", "three"]);
    });

    test("closing a listener ends waiting calls and drops waiting connections, but not accepted channels", async () => {
      const [client, server] = await Promise.all([dial(), accept()]);
      await dial();
      await accept();
      const unaccepted = await dial();
      await endpoint().listener.close();
      const error = await failure(endpoint().listener.accept());
      expect(error.code).toBe("LISTEN_FAILED");
      expect(await readToTheEnd(unaccepted)).toBe(0);
      await client.write(Buffer.from("alive"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("alive");
      expect((await failure(dialing())).code).toBe("CONNECT_FAILED");
    });

    test("closing a listener rejects who waits for a connection", async () => {
      const { listener } = endpoint();
      const accepting = failure(listener.accept());
      await listener.close();
      expect((await accepting).code).toBe("LISTEN_FAILED");
      await listener.close();
    });

    test("an address that is in use cannot be listened on, and is free after the close", async () => {
      const { listener, listenUri, serverTls } = endpoint();
      const error = await failure(listen(listenUri, { tls: serverTls }));
      expect(error.code).toBe("LISTEN_FAILED");
      expect(error.message).toMatch(/^Failed to listen on '.+': Address already in use$/u);
      const [client] = await Promise.all([dial(), accept()]);
      await listener.close();
      const again = await listen(listenUri, { tls: serverTls });
      expect(formatUri(again.address)).toBe(formatUri(listener.address));
      expect(client.error).toBeUndefined();
      const [late, server] = await Promise.all([dialing(), again.accept()]);
      opened.keep(late);
      opened.keep(server);
      await again.close();
    });

    test("it works in a worker thread", async () => {
      const worker = new Worker(new URL("./echo-worker.ts", import.meta.url), {
        workerData: { uri: endpoint().connectUri, tls: endpoint().clientTls },
      });
      const answer = once(worker, "message");
      const server = await accept();
      const received = readPattern(server);
      await writePattern(server, 4 * MiB, 100_000);
      await server.end();
      expect(await received).toBe(4 * MiB);
      expect(await answer).toEqual([4 * MiB]);
      await worker.terminate();
    });
  });
}

/** How much arrives until the channel ends or fails, for a peer that may do either. */
async function readToTheEnd(channel: Channel): Promise<number> {
  await readAll(channel).catch((error: unknown) => {
    if (!MigrationError.is(error)) throw error;
  });
  return channel.bytesRead;
}
