import * as fc from "fast-check";
import { ChannelLoad } from "../../packages/dest-agent/src/channel-load.ts";
import { ChunkReader } from "../../packages/dest-agent/src/chunk-reader.ts";
import { IncomingStatistics } from "../../packages/dest-agent/src/incoming-statistics.ts";
import { ImageMachine } from "@peregrine/machine-image";
import type { BuildRam } from "@peregrine/shared-state";
import { chunkSizes, mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { fixture, fixtureFile } from "../../packages/protocol/test/fixtures.ts";
import { CHANNEL } from "../../packages/protocol/test/multifd-channel.ts";
import { chunked } from "../../packages/protocol/test/support.ts";

const MIB = 2 ** 20;
const PACKET_BYTES = 1344;
/** Of a recorded channel. */
const RECORDED_BYTES = 200_000;
const RECORDED = ["pc-72-multifd-zstd", "pc-100-multifd-zstd", "pc-72-multifd"];
const BLOCK = { name: "pc.ram", length: 16 * MIB };

/** Multifd channels with real decompression, into the memory of an image: data that would make more than it says is refused. */
export async function channelLoadProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const { module, data } = new ImageMachine().intake.memory;
  const { buildRam } = (await import(module)) as { readonly buildRam: BuildRam };
  const builder = buildRam(data);
  builder.addBlock(BLOCK);
  const access = builder.access();
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
  const load = async (bytes: Uint8Array, sizes: readonly number[]): Promise<string> => {
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
      await loading.run(new ChunkReader(chunksOf(bytes, sizes)), undefined);
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
      const cut = await load(bytes, sizes);
      allocations.requireWithin(4 * MIB + 2 * bytes.length, bytes.length);
      const whole = await load(bytes, []);
      require(cut === whole, `in chunks: ${cut}; at once: ${whole}`);
    },
  );
}

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunked(bytes, sizes)) yield chunk;
}
