import { describe, expect, test } from "vitest";
import type { Channel } from "../channel.ts";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { failure, KERNEL_BUFFERS, Opened, untilStill } from "./opened.ts";
import { readAll, readPattern, writePattern } from "./streams.ts";

const MiB = 1 << 20;

/** What holds on a connection, where both sides send. */
export function channelsThatAnswer(traits: TransportTraits, factory: () => Promise<TransportFixture>): void {
  describe("in both directions", () => {
    const opened = new Opened(factory);

    test("a large transfer in both directions at once", async () => {
      const [client, server] = await opened.pair();
      const total = 6 * MiB + 12_345;
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

    test("after its end a channel still receives", async () => {
      const [client, server] = await opened.pair();
      await client.write(Buffer.from("question"));
      await client.end();
      expect((await readAll(server)).toString()).toBe("question");
      await server.write(Buffer.from("answer"));
      await server.end();
      expect((await readAll(client)).toString()).toBe("answer");
      await Promise.all([client.closed, server.closed]);
      expect([client.error, server.error]).toEqual([undefined, undefined]);
    });

    test("the last words of a peer that goes away with data unread are still read", async () => {
      const [client, server] = await opened.pair();
      const heard: Uint8Array[] = [];
      const reading = (async () => {
        for await (const chunk of client.read()) heard.push(chunk.slice());
      })();
      const outcome = Promise.all([failure(reading), failure(writePattern(client, 2 * KERNEL_BUFFERS, MiB))]);
      await untilStill(() => client.bytesWritten);
      await server.write(Buffer.from("refused"));
      server.destroy();
      const [first, second] = await outcome;
      expect(Buffer.concat(heard).toString()).toBe("refused");
      expect(first).toBe(second);
      expect(first.message).toMatch(traits.gone);
    });

    test.skipIf(traits.tellsCuts)("a peer that goes away ends the reader", async () => {
      const [client, server] = await opened.pair();
      await client.write(Buffer.from("last words"));
      client.destroy();
      expect((await readAll(server)).toString()).toBe("last words");
    });

    test.runIf(traits.tellsCuts)(
      "a peer that goes away fails the reader, behind its last words",
      async () => {
        const [client, server] = await opened.pair();
        await client.write(Buffer.from("last words"));
        client.destroy();
        const heard: Uint8Array[] = [];
        const reading = (async () => {
          for await (const chunk of server.read()) heard.push(chunk.slice());
        })();
        const error = await failure(reading);
        expect(Buffer.concat(heard).toString()).toBe("last words");
        expect(error.code).toBe("CHANNEL_CUT");
        await server.closed;
        expect(server.error).toBe(error);
      },
    );
  });
}
