import { MigrationError } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { failure, KERNEL_BUFFERS, Opened, untilStill } from "./opened.ts";
import { readAll, readPattern, ReceivedPattern, writePattern } from "./streams.ts";

const MiB = 1 << 20;

/** What holds where somebody takes the bytes, or leaves them. */
export function liveChannels(traits: TransportTraits, factory: () => Promise<TransportFixture>): void {
  describe("with somebody at the other end", () => {
    const opened = new Opened(factory);

    test("a reader that does not read stops the writer at a bounded amount", async () => {
      const [writer, reader] = await opened.pair();
      const total = 2 * KERNEL_BUFFERS;
      let finished = false;
      const writing = writePattern(writer, total, MiB).then(() => {
        finished = true;
        return writer.end();
      });
      await untilStill(() => writer.bytesWritten);
      expect(finished).toBe(false);
      expect(writer.bytesWritten).toBeLessThan(KERNEL_BUFFERS);
      expect(await readPattern(reader)).toBe(total);
      await writing;
    });

    test("bytes given as they come can be stopped at any chunk, and read on either way", async () => {
      const total = 6 * MiB + 12_345;
      const [writer, reader] = await opened.pair();
      const writing = writePattern(writer, total, MiB).then(() => writer.end());
      const received = new ReceivedPattern();
      const chunks = reader.read();
      for (let turn = 0; ; turn++) {
        let given = 0;
        await reader.pass!((chunk) => {
          received.add(chunk);
          given++;
          return given <= turn % 4;
        });
        expect(given).toBeLessThanOrEqual(1 + (turn % 4));
        const { done, value } = await chunks.next();
        if (done === true) break;
        received.add(value);
        expect(reader.bytesRead).toBe(received.length);
      }
      expect(received.length).toBe(total);
      await writing;
    });

    test("somebody who is given bytes and stops holds the writer back", async () => {
      const [writer, reader] = await opened.pair();
      const total = 2 * KERNEL_BUFFERS;
      const writing = writePattern(writer, total, MiB).then(() => writer.end());
      const received = new ReceivedPattern();
      await reader.pass!((chunk) => {
        received.add(chunk);
        return received.length < MiB;
      });
      await untilStill(() => writer.bytesWritten);
      expect(writer.bytesWritten).toBeLessThan(KERNEL_BUFFERS);
      expect(reader.bytesRead).toBe(received.length);
      await reader.pass!((chunk) => {
        received.add(chunk);
        return true;
      });
      expect(received.length).toBe(total);
      await writing;
    });

    test("what somebody throws who is given bytes ends that, and not the channel", async () => {
      const [writer, reader] = await opened.pair();
      const reason = new MigrationError("TRUNCATED", "enough");
      const passing = failure(
        reader.pass!(() => {
          throw reason;
        }),
      );
      await writer.write(Uint8Array.of(1, 2, 3));
      expect(await passing).toBe(reason);
      expect(reader.error).toBeUndefined();
      await writer.write(Uint8Array.of(4, 5));
      await writer.end();
      expect([...(await readAll(reader))]).toEqual([4, 5]);
    });

    test("a channel that is destroyed gives no bytes any more", async () => {
      const [writer, reader] = await opened.pair();
      let given = 0;
      const passing = reader.pass!(() => {
        given++;
        return true;
      });
      reader.destroy(new MigrationError("CANCELLED", "enough"));
      await writer.write(Uint8Array.of(1)).catch(() => {});
      await passing;
      await reader.closed;
      expect(given).toBe(0);
      expect(reader.error?.code).toBe("CANCELLED");
    });

    test("a peer that takes nothing for too long fails the channel", async () => {
      const [writer] = await opened.pair({ stallTimeout: 50 });
      const error = await failure(writePattern(writer, 2 * KERNEL_BUFFERS, MiB));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toBe(`Connection to '${writer.peer}' failed: the peer took no data for 0.05 s`);
      expect(writer.error).toBe(error);
    });

    test("destroying a channel rejects everything that is pending on it, with the given error", async () => {
      const [writer] = await opened.pair();
      const reason = new MigrationError("CANCELLED", "the migration was cancelled");
      const pending = [failure(readAll(writer)), failure(writePattern(writer, 2 * KERNEL_BUFFERS, MiB))];
      await untilStill(() => writer.bytesWritten);
      writer.destroy(reason);
      expect(await Promise.all(pending)).toEqual([reason, reason]);
      await writer.closed;
      expect(writer.error).toBe(reason);
      expect(await failure(writer.write(new Uint8Array(1)))).toBe(reason);
      expect(await failure(writer.end())).toBe(reason);
      expect(await failure(readAll(writer))).toBe(reason);
    });

    test("destroying a channel fails its reader, with the given error", async () => {
      const [, reader] = await opened.pair();
      const reason = new MigrationError("CANCELLED", "enough");
      const reading = failure(readAll(reader));
      reader.destroy(reason);
      expect(await reading).toBe(reason);
      expect(await failure(readAll(reader))).toBe(reason);
      expect(await failure(reader.end())).toBe(reason);
      await reader.closed;
      expect(reader.error).toBe(reason);
    });

    test("a peer that is gone fails the writer", async () => {
      const [writer, reader] = await opened.pair();
      reader.destroy();
      const error = await failure(writePattern(writer, 2 * KERNEL_BUFFERS, MiB));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toMatch(traits.gone);
      expect(error.message).toContain(`'${writer.peer}'`);
      await writer.closed;
      expect(writer.error).toBe(error);
    });

    test("a peer that goes away with data unread fails the channel under a writer that waits", async () => {
      const [writer, reader] = await opened.pair();
      const writing = failure(writePattern(writer, 2 * KERNEL_BUFFERS, MiB));
      await untilStill(() => writer.bytesWritten);
      reader.destroy();
      const error = await writing;
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toMatch(traits.gone);
    });
  });
}
