import { MigrationError } from "@peregrine/protocol";
import { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OutgoingStream } from "./outgoing-stream.ts";
import { FakeChannel } from "./testing/fake-channel.ts";

const MiB = 1 << 20;

function open(channel: FakeChannel, limit = 0) {
  const parameters = new MigrationParameters();
  const statistics = new MigrationStatistics();
  parameters.setSpeed(limit);
  const clock = { now: 0 };
  const stream = new OutgoingStream(channel, parameters, statistics, () => clock.now);
  return { stream, parameters, statistics, clock };
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, n) => (n * 7 + seed) & 0xff);
}

describe("the outgoing stream", () => {
  test("sends everything in order through two buffers, however slow the channel is", async () => {
    const slow = (): Promise<void> =>
      new Promise((resolve) => {
        setImmediate(resolve);
      });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 900_000 }), { maxLength: 6 }),
        fc.constantFrom(0, MiB, 40 * MiB),
        async (lengths, limit) => {
          const channel = new FakeChannel({ hold: slow });
          const { stream, statistics } = open(channel, limit);
          const pieces = lengths.map((length, n) => pattern(length, n));
          for (const piece of pieces) await stream.append(piece);
          await stream.flush();
          expect(channel.mostPendingWrites).toBeLessThanOrEqual(1);
          expect(channel.pendingWrites).toBe(0);
          expect(Buffer.concat(channel.written).equals(Buffer.concat(pieces))).toBe(true);
          expect(statistics.transferred).toBe(channel.bytesWritten);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("fills one buffer while the other is written, and waits with the next", async () => {
    const gates: (() => void)[] = [];
    const channel = new FakeChannel({ hold: () => new Promise((resolve) => gates.push(resolve)) });
    const { stream } = open(channel);
    const turn = (): Promise<void> =>
      new Promise((resolve) => {
        setImmediate(resolve);
      });
    await stream.append(pattern(2_200_000, 1));
    expect(gates).toHaveLength(1);
    const flushed = stream.flush();
    await turn();
    expect(gates).toHaveLength(1);
    gates[0]!();
    await turn();
    expect(gates).toHaveLength(2);
    gates[1]!();
    await flushed;
    expect(channel.bytesWritten).toBe(2_200_000);
  });

  test("writes small pieces under a small limit", async () => {
    const channel = new FakeChannel();
    const { stream } = open(channel, 8 * MiB);
    await stream.append(new Uint8Array(MiB));
    await stream.flush();
    const largest = Math.max(...channel.written.map((bytes) => bytes.length));
    expect(largest).toBeLessThanOrEqual((8 * MiB) / 100);
    expect(stream.pagesUntilFull).toBeLessThanOrEqual(21);
  });

  test("says when the limit is reached; a change of the parameter takes effect at once", async () => {
    const { stream, parameters } = open(new FakeChannel(), MiB);
    await stream.append(new Uint8Array(MiB));
    await stream.flush();
    expect(stream.limitReached).toBe(true);
    parameters.setSpeed(100 * MiB);
    expect(stream.limitReached).toBe(false);
    await stream.append(new Uint8Array(20 * MiB));
    await stream.flush();
    expect(stream.limitReached).toBe(true);
    stream.liftLimit();
    expect(stream.limitReached).toBe(false);
  });

  test("counts what is sent while the guest stands still apart", async () => {
    const { stream, statistics } = open(new FakeChannel());
    await stream.append(new Uint8Array(1000));
    await stream.flush();
    statistics.stopTime = 5;
    await stream.append(new Uint8Array(10));
    await stream.flush();
    expect(statistics).toMatchObject({ transferred: 1010, precopyBytes: 1000, downtimeBytes: 10 });
  });

  test("a write that fails is reported by the next send or flush", async () => {
    const channel = new FakeChannel();
    const { stream } = open(channel);
    const error = new MigrationError("CHANNEL_FAILED", "gone");
    channel.destroy(error);
    await stream.append(new Uint8Array(2_200_000));
    await expect(stream.flush()).rejects.toBe(error);
  });
});
