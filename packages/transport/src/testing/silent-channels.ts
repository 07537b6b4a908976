import { describe, expect, test } from "vitest";
import type { TransportFixture } from "./fixture.ts";
import { failure, Opened } from "./opened.ts";
import { readAll } from "./streams.ts";

/** What holds where bytes can go in one direction only. */
export function silentChannels(factory: () => Promise<TransportFixture>): void {
  describe("in one direction", () => {
    const opened = new Opened(factory);

    test("nobody answers the writer, who waits until the channel is gone", async () => {
      const { writer, reader } = await opened.ends();
      let over = false;
      const listening = readAll(writer).then((bytes) => {
        over = true;
        return bytes;
      });
      await writer.write(Buffer.from("stream"));
      expect(over).toBe(false);
      await writer.end();
      expect((await readAll(await reader())).toString()).toBe("stream");
      writer.destroy();
      expect(await listening).toHaveLength(0);
      await writer.closed;
      expect(writer.error).toBeUndefined();
      expect(writer.bytesRead).toBe(0);
    });

    test("the reader cannot answer, and ends its own direction at once", async () => {
      const { writer, reader } = await opened.ends();
      await writer.write(Buffer.from("stream"));
      const ended = writer.end();
      const channel = await reader();
      const error = await failure(channel.write(new Uint8Array(1)));
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toContain(`'${channel.peer}' failed: `);
      await channel.end();
      expect((await readAll(channel)).toString()).toBe("stream");
      expect([channel.error, channel.bytesWritten]).toEqual([undefined, 0]);
      await ended;
    });
  });
}
