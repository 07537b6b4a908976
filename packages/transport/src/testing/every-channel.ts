import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Channel } from "../channel.ts";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { failure, Opened } from "./opened.ts";
import { fillPattern, readAll, readPattern, writePattern } from "./streams.ts";

const MiB = 1 << 20;

/** What holds for a file as well as for a connection. */
export function everyChannel(traits: TransportTraits, factory: () => Promise<TransportFixture>): void {
  describe("as every channel", () => {
    const opened = new Opened(factory);
    const stored = traits.medium === "file";

    test("says what is at the other end", async () => {
      const { writer, reader } = await opened.ends();
      expect(writer.medium).toBe(traits.medium);
      await writer.end();
      expect((await reader()).medium).toBe(traits.medium);
    });

    test("bytes arrive intact and in order, however they are cut", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 }), async (sizes) => {
          const { writer, reader } = await opened.ends();
          const early = stored ? undefined : reader().then((channel) => readPattern(channel));
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
          expect(await (early ?? readPattern(await reader()))).toBe(position);
          await opened.closeAll();
        }),
        { numRuns: 10 },
      );
    });

    test("a large transfer goes through buffers that are used again", async () => {
      const total = 6 * MiB + 12_345;
      const { writer, reader } = await opened.ends();
      const early = stored ? undefined : reader().then((channel) => readPattern(channel));
      await writePattern(writer, total, MiB);
      await writer.end();
      expect(await (early ?? readPattern(await reader()))).toBe(total);
    });

    test("a reader that takes its time with each chunk has it to itself meanwhile", async () => {
      const total = MiB + 12_345;
      const slowly = (channel: Channel): Promise<number> => readPattern(channel, () => delay(1));
      const { writer, reader } = await opened.ends();
      const early = stored ? undefined : reader().then(slowly);
      await writePattern(writer, total, 100_000);
      await writer.end();
      expect(await (early ?? slowly(await reader()))).toBe(total);
    });

    test("a buffer in shared memory can be written", async () => {
      const { writer, reader } = await opened.ends();
      const bytes = new Uint8Array(new SharedArrayBuffer(100_000));
      fillPattern(bytes, 0);
      const early = stored ? undefined : reader().then((channel) => readPattern(channel));
      await writer.write(bytes);
      await writer.end();
      expect(await (early ?? readPattern(await reader()))).toBe(bytes.length);
    });

    test("what was written before the end arrives although nobody waited for it", async () => {
      const { writer, reader } = await opened.ends();
      const bytes = new Uint8Array(3 * MiB);
      fillPattern(bytes, 0);
      const early = stored ? undefined : reader().then((channel) => readPattern(channel));
      await Promise.all([writer.write(bytes), writer.end()]);
      expect(await (early ?? readPattern(await reader()))).toBe(bytes.length);
    });

    test("a reader that left goes on where it stopped", async () => {
      const { writer, reader } = await opened.ends();
      const bytes = new Uint8Array(MiB);
      fillPattern(bytes, 0);
      const sent = Promise.all([writer.write(bytes), writer.end()]);
      if (stored) await sent;
      const channel = await reader();
      let first: Uint8Array = new Uint8Array();
      for await (const chunk of channel.read()) {
        first = chunk.slice();
        break;
      }
      expect(channel.bytesRead).toBe(first.length);
      const rest = await readAll(channel);
      expect(Buffer.compare(Buffer.concat([first, rest]), bytes)).toBe(0);
      expect(channel.bytesRead).toBe(bytes.length);
      // What has ended stays ended.
      expect(await readAll(channel)).toHaveLength(0);
      await sent;
    });

    test("writing after the end is refused, and ending twice is not", async () => {
      const { writer, reader } = await opened.ends();
      await writer.end();
      const error = await failure(writer.write(new Uint8Array(1)));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toContain(`'${writer.peer}' failed: write after end`);
      expect(writer.error).toBeUndefined();
      await writer.end();
      expect(await readAll(await reader())).toHaveLength(0);
    });

    test("what is refused at once may be waited for later", async () => {
      const { writer } = await opened.ends();
      writer.destroy();
      await writer.closed;
      const refusals = [writer.write(new Uint8Array(1)), writer.end()];
      // Nobody handles them for a turn, which would end the process.
      await new Promise((resolve) => setImmediate(resolve));
      for (const { status } of await Promise.allSettled(refusals)) expect(status).toBe("rejected");
    });

    test("a destroyed channel without a reason says that it was closed here", async () => {
      const { writer } = await opened.ends();
      writer.destroy();
      await writer.closed;
      expect(writer.error?.code).toBe("CHANNEL_FAILED");
      expect(writer.error?.message).toContain(`'${writer.peer}' failed: closed at this end`);
    });
  });
}
