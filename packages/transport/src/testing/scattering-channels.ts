import { PLACE_BYTES, putPlace } from "@peregrine/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Channel, Scattering } from "../channel.ts";
import type { TransportFixture } from "./fixture.ts";
import { failure, Opened } from "./opened.ts";
import { ReceivedPattern, writePattern } from "./streams.ts";

/** What holds where bytes can be read to several places of memory. */
export function scatteringChannels(factory: () => Promise<TransportFixture>): void {
  describe("that scatters what it reads", () => {
    const opened = new Opened(factory);

    test("what comes lies in the places in their order, behind the chunk and before the next one", async () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(sizes, { minLength: 1 }),
          fc.integer({ min: 1, max: 20_000 }),
          async (all, bound) => {
            const total = 3_000_000;
            const [writer, reader] = await opened.pair();
            const scattering = await scatteringOf(reader);
            const received = new ReceivedPattern();
            let scattered = 0;
            let turn = 0;
            let most = Infinity;
            const writing = writePattern(writer, total, 300_000).then(() => writer.end());
            const chunks = reader.read();
            received.add((await chunks.next()).value!);
            await reader.pass!((chunk) => {
              expect(chunk.length).toBeLessThanOrEqual(most);
              received.add(chunk);
              const pieces = piecesOf(all[turn++ % all.length]!);
              const bytes = scattering.read(vectorOf(scattering, pieces), 0);
              addTo(received, pieces, bytes);
              scattered += bytes;
              most = turn % 3 === 0 ? Infinity : bound;
              if (most === bound) scattering.boundNext(bound);
              return true;
            });
            expect((await chunks.next()).done).toBe(true);
            await writing;
            expect(received.length).toBe(total);
            expect(reader.bytesRead).toBe(total);
            expect(scattered).toBeGreaterThan(0);
            await opened.closeAll();
          },
        ),
        { numRuns: 10 },
      );
    });

    test("there is nothing when nothing has come, and behind the end, which the channel tells", async () => {
      const [writer, reader] = await opened.pair();
      const scattering = await scatteringOf(reader);
      await writer.write(Uint8Array.of(1));
      const chunks = reader.read();
      await chunks.next();
      await writer.write(Uint8Array.of(2));
      const vector = vectorOf(scattering, [new Uint8Array(10)]);
      let ended: Promise<void> | undefined;
      await reader.pass!(() => {
        expect(scattering.read(vector, 0)).toBe(0);
        ended = writer.end();
        expect(scattering.read(vector, 0)).toBe(0);
        return true;
      });
      await ended;
      expect((await chunks.next()).done).toBe(true);
      expect(reader.error).toBeUndefined();
    });

    test("a connection that breaks is told by the channel, though the system said it here", async () => {
      const [writer, reader] = await opened.pair();
      const scattering = await scatteringOf(reader);
      // What nobody has read when its end is closed breaks the connection.
      await reader.write(new Uint8Array(100_000));
      await writer.write(Uint8Array.of(1));
      const chunks = reader.read();
      await chunks.next();
      await writer.write(Uint8Array.of(2));
      await reader.pass!(() => {
        writer.destroy();
        expect(scattering.read(vectorOf(scattering, [new Uint8Array(10)]), 0)).toBe(0);
        return true;
      });
      const error = await failure(chunks.next());
      expect(error.code).toBe("CHANNEL_FAILED");
      await reader.closed;
      expect(reader.error).toBe(error);
      expect(scattering.read(vectorOf(scattering, [new Uint8Array(10)]), 0)).toBe(0);
    });

    test("more places than the system takes at once are not all filled", async () => {
      const [writer, reader] = await opened.pair();
      const scattering = await scatteringOf(reader);
      const received = new ReceivedPattern();
      const writing = writePattern(writer, 60_000, 60_000).then(() => writer.end());
      const chunks = reader.read();
      received.add((await chunks.next()).value!);
      scattering.boundNext(1);
      await reader.pass!((chunk) => {
        received.add(chunk);
        const pieces = piecesOf(Array.from({ length: 2000 }, () => 3));
        const bytes = scattering.read(vectorOf(scattering, pieces), 0);
        expect(bytes).toBeLessThanOrEqual(3 * 1024);
        addTo(received, pieces, bytes);
        return true;
      });
      await writing;
      expect(received.length).toBe(60_000);
    });
  });
}

/** Where it cannot be done, nobody is told that it can. */
export function channelsThatDoNotScatter(factory: () => Promise<TransportFixture>): void {
  describe("that does not scatter what it reads", () => {
    const opened = new Opened(factory);

    test("says so", async () => {
      const { writer, reader } = await opened.ends();
      expect(await writer.scattering?.()).toBeUndefined();
      await writer.end();
      const channel = await reader();
      expect(await channel.scattering?.()).toBeUndefined();
    });
  });
}

async function scatteringOf(channel: Channel): Promise<Scattering> {
  const scattering = await channel.scattering?.();
  if (scattering === undefined) throw new Error("the channel does not scatter");
  return scattering;
}

/** Places that do not lie beside each other. */
function piecesOf(sizes: readonly number[]): Uint8Array[] {
  return sizes.map((size, n) =>
    n % 2 === 0 ? new Uint8Array(size) : new Uint8Array(new SharedArrayBuffer(size)),
  );
}

function vectorOf(scattering: Scattering, pieces: readonly Uint8Array[]): Uint8Array {
  const vector = new Uint8Array(pieces.length * PLACE_BYTES);
  const words = new Uint32Array(vector.buffer);
  for (const [n, piece] of pieces.entries()) putPlace(words, n, scattering.addressOf(piece), piece.length);
  return vector;
}

function addTo(received: ReceivedPattern, pieces: readonly Uint8Array[], bytes: number): void {
  let left = bytes;
  for (const piece of pieces) {
    received.add(piece.subarray(0, left));
    left = Math.max(0, left - piece.length);
    if (left === 0) return;
  }
}
