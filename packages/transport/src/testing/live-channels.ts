import { MigrationError } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { failure, KERNEL_BUFFERS, Opened, untilStill } from "./opened.ts";
import { readAll, readPattern, writePattern } from "./streams.ts";

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
