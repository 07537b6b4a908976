import { MigrationError, PLACE_BYTES, putPlace } from "@peregrine/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Channel, Gathering } from "../channel.ts";
import { GatherList } from "../gather-list.ts";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { failure, KERNEL_BUFFERS, Opened, untilStill } from "./opened.ts";
import { fillPattern, readAll, readPattern } from "./streams.ts";

const MiB = 1 << 20;

/** What holds where bytes can be written from several places of memory. */
export function gatheringChannels(traits: TransportTraits, factory: () => Promise<TransportFixture>): void {
  describe("that gathers what it writes", () => {
    const opened = new Opened(factory);

    test("what is written from several places arrives in their order, between other writes", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 20 }), {
            maxLength: 8,
          }),
          async (writes) => {
            const [writer, reader] = await opened.pair();
            const gathering = await gatheringOf(writer);
            const reading = readPattern(reader);
            let position = 0;
            for (const sizes of writes) {
              const pieces = sizes.map((size, n) => {
                const piece =
                  n % 2 === 0 ? new Uint8Array(size) : new Uint8Array(new SharedArrayBuffer(size));
                fillPattern(piece, position);
                position += size;
                return piece;
              });
              const list = gatherListOf(gathering, pieces);
              await gathering.write(list);
              expect([list.length, list.places]).toEqual([0, 0]);
              for (const piece of pieces) piece.fill(0);
              const plain = new Uint8Array(100);
              fillPattern(plain, position);
              await writer.write(plain);
              position += plain.length;
              expect(writer.bytesWritten).toBe(position);
            }
            await writer.end();
            expect(await reading).toBe(position);
            await opened.closeAll();
          },
        ),
        { numRuns: 10 },
      );
    });

    test("more places than the kernel takes at once, and more bytes than it keeps", async () => {
      const [writer, reader] = await opened.pair();
      const gathering = await gatheringOf(writer);
      const all = new Uint8Array(2 * KERNEL_BUFFERS);
      fillPattern(all, 0);
      const size = 4093;
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
        all.subarray(n * size, (n + 1) * size),
      );
      let isOver = false;
      const writing = gathering.write(gatherListOf(gathering, pieces)).then(() => {
        isOver = true;
        return writer.end();
      });
      await untilStill(() => reader.bytesRead);
      expect(isOver).toBe(false);
      expect(await readPattern(reader)).toBe(all.length);
      await writing;
      expect(writer.bytesWritten).toBe(all.length);
    });

    test("nothing to be written is written at once", async () => {
      const [writer, reader] = await opened.pair();
      const gathering = await gatheringOf(writer);
      await gathering.write(gatherListOf(gathering, []));
      await writer.end();
      expect(await readAll(reader)).toHaveLength(0);
    });

    test("nothing else can be written meanwhile, and that does not harm it", async () => {
      const [writer, reader] = await opened.pair();
      const gathering = await gatheringOf(writer);
      const bytes = new Uint8Array(2 * KERNEL_BUFFERS);
      fillPattern(bytes, 0);
      const writing = gathering.write(gatherListOf(gathering, [bytes]));
      expect((await failure(writer.write(Uint8Array.of(1)))).code).toBe("INTERNAL");
      const other = gatherListOf(gathering, [Uint8Array.of(2)]);
      expect((await failure(gathering.write(other))).code).toBe("INTERNAL");
      const reading = readPattern(reader);
      await writing;
      const plain = writer.write(new Uint8Array(4 * MiB).fill(7));
      expect((await failure(gathering.write(other))).code).toBe("INTERNAL");
      plain.catch(() => {});
      expect(writer.error).toBeUndefined();
      writer.destroy();
      await reading.catch(() => {});
    });

    test("a peer that takes nothing for too long fails it", async () => {
      const [writer] = await opened.pair({ stallTimeout: 50 });
      const gathering = await gatheringOf(writer);
      const list = gatherListOf(gathering, [new Uint8Array(2 * KERNEL_BUFFERS)]);
      const error = await failure(gathering.write(list));
      expect(error.message).toBe(`Connection to '${writer.peer}' failed: the peer took no data for 0.05 s`);
    });

    test("destroying the channel rejects it with the given error", async () => {
      const [writer, reader] = await opened.pair();
      const gathering = await gatheringOf(writer);
      const list = gatherListOf(gathering, [new Uint8Array(2 * KERNEL_BUFFERS)]);
      const writing = failure(gathering.write(list));
      const reason = new MigrationError("CANCELLED", "the migration was cancelled");
      await untilStill(() => reader.bytesRead);
      writer.destroy(reason);
      expect(await writing).toBe(reason);
      await writer.closed;
      expect(await failure(gathering.write(list))).toBe(reason);
    });

    test.for([
      ["before it is begun", false],
      ["while it waits", true],
    ] as const)("a peer that is gone %s fails it", async ([, waits]) => {
      const [writer, reader] = await opened.pair();
      const gathering = await gatheringOf(writer);
      const write = (): Promise<MigrationError> =>
        failure(
          (async () => {
            for (;;) await gathering.write(gatherListOf(gathering, [new Uint8Array(2 * KERNEL_BUFFERS)]));
          })(),
        );
      const waiting = waits ? write() : undefined;
      if (waits) await untilStill(() => reader.bytesRead);
      reader.destroy();
      await reader.closed;
      const error = await (waiting ?? write());
      expect(error.code).toBe("CHANNEL_FAILED");
      expect(error.message).toMatch(traits.gone);
      await writer.closed;
      expect(writer.error).toBe(error);
    });
  });
}

/** Where it cannot be done, nobody is told that it can. */
export function channelsThatDoNotGather(factory: () => Promise<TransportFixture>): void {
  describe("that does not gather what it writes", () => {
    const opened = new Opened(factory);

    test("says so", async () => {
      const { writer } = await opened.ends();
      expect(await writer.gathering?.()).toBeUndefined();
    });
  });
}

export async function gatheringOf(channel: Channel): Promise<Gathering> {
  const gathering = await channel.gathering?.();
  if (gathering === undefined) throw new Error("the channel does not gather");
  return gathering;
}

/** A list itself knows only addresses, and the memory would be gone before it is written. */
const memoryOf = new WeakMap<GatherList, readonly Uint8Array[]>();

export function gatherListOf(
  gathering: Pick<Gathering, "addressOf">,
  pieces: readonly Uint8Array[],
): GatherList {
  const vector = new Uint8Array(pieces.length * PLACE_BYTES);
  const words = new Uint32Array(vector.buffer);
  for (const [n, piece] of pieces.entries()) putPlace(words, n, gathering.addressOf(piece), piece.length);
  const list = new GatherList(vector);
  list.set(
    pieces.length,
    pieces.reduce((sum, piece) => sum + piece.length, 0),
  );
  memoryOf.set(list, pieces);
  return list;
}
