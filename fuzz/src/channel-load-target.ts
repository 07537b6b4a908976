import * as fc from "fast-check";
import { ChannelLoad } from "../../packages/dest-agent/src/channel-load.ts";
import { ChunkReader } from "../../packages/dest-agent/src/chunk-reader.ts";
import { IncomingStatistics } from "../../packages/dest-agent/src/incoming-statistics.ts";
import { ImageMachine } from "@peregrine/machine-image";
import type { BuildRam, RamAccess } from "@peregrine/shared-state";
import { newTestRam } from "@peregrine/shared-state/testing";
import type { Scattering } from "@peregrine/transport";
import { ArrivingBytes } from "../../packages/dest-agent/test/arriving-bytes.ts";
import { chunkSizes, mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { fixture, fixtureFile } from "../../packages/protocol/test/fixtures.ts";
import { CHANNEL } from "../../packages/protocol/test/multifd-channel.ts";
import { chunked } from "../../packages/protocol/test/support.ts";

const MIB = 2 ** 20;
const FRESH_RAM = new URL("../../packages/dest-agent/test/fresh-ram.ts", import.meta.url).href;
const PACKET_BYTES = 1344;
/** Of a recorded channel. */
const RECORDED_BYTES = 200_000;
const RECORDED = ["pc-72-multifd-zstd", "pc-100-multifd-zstd", "pc-72-multifd"];
const BLOCK = { name: "pc.ram", length: 16 * MIB };

/**
 * Multifd channels with real decompression, into the memory of an image: data that would make more than it says is refused. And
 * into that of a program, which pages are read to from the connection itself: that changes nothing about the answer.
 */
export async function channelLoadProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const { module, data } = new ImageMachine().intake.memory;
  const { buildRam } = (await import(module)) as { readonly buildRam: BuildRam };
  const builder = buildRam(data);
  builder.addBlock(BLOCK);
  const image = builder.access();
  const program: RamAccess = { module: FRESH_RAM, data: newTestRam([BLOCK], true) };
  const samples = [
    CHANNEL,
    ...RECORDED.map((name) =>
      fixtureFile(fixture(name), `${name}.c1.stream.zst`).subarray(0, RECORDED_BYTES),
    ),
  ].map((bytes) => ({
    name: "channel",
    bytes,
    ends: [[0], [64], Array.from({ length: 40 }, (_, n) => 64 + n * PACKET_BYTES), [bytes.length]],
  }));
  const load = async (chunks: ChunkReader, access: RamAccess, scattering?: Scattering): Promise<string> => {
    const statistics = new IncomingStatistics();
    const memoryComplete = new SharedArrayBuffer(4);
    let isOpen = false;
    const goOn = async (): Promise<void> => {
      // The first sync is over when the list of blocks has come.
      if (!isOpen) await loading.open(access, [{ ...BLOCK, index: 0 }]);
      isOpen = true;
      loading.goOn();
    };
    const loading: ChannelLoad = new ChannelLoad({
      statistics,
      memoryComplete,
      tell: ({ kind }) => {
        if (kind === "sync") void goOn();
      },
    });
    try {
      await loading.run(chunks, scattering);
      return "loaded";
    } catch (error) {
      return requireKnownCode(error).message;
    }
  };
  return fc.asyncProperty(
    fc.nat(samples.length - 1),
    mutations,
    chunkSizes,
    async (index, changes, sizes) => {
      const bytes = mutate(samples[index]!, changes, samples);
      allocations.reset();
      const cut = await load(new ChunkReader(chunksOf(bytes, sizes)), image);
      allocations.requireWithin(4 * MIB + 2 * bytes.length, bytes.length);
      const whole = await load(new ChunkReader(chunksOf(bytes, [])), image);
      require(cut === whole, `in chunks: ${cut}; at once: ${whole}`);
      const arriving = new ArrivingBytes(bytes, [...sizes, MIB], MIB / 2, false);
      const placed = await load(new ChunkReader(arriving.chunks(), arriving), program, arriving);
      require(cut === placed, `in chunks: ${cut}; read to their places: ${placed}`);
    },
  );
}

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunked(bytes, sizes)) yield chunk;
}
