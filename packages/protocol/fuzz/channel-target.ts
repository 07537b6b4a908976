import * as fc from "fast-check";
import {
  MULTIFD_INIT_BYTES,
  MULTIFD_PACKET_PAGES,
  MultifdChannelDecoder,
  WIRE_PAGE_SIZE,
} from "../src/index.ts";
import type {
  MigrationError,
  MultifdDeviceState,
  MultifdPages,
  MultifdSink,
  StreamDecompressor,
} from "../src/index.ts";
import { fixture, fixtureFile } from "../test/fixtures.ts";
import { CHANNEL, PACKET_BYTES } from "../test/multifd-channel.ts";
import { chunked } from "../test/support.ts";
import { chunkSizes, mutate, mutations } from "./mutation.ts";
import type { Sample } from "./mutation.ts";
import { CallLog, requireRefusal, requireSame } from "./oracle.ts";
import type { Allocations, Outcome } from "./oracle.ts";

const PAYLOAD_BYTES = MULTIFD_PACKET_PAGES * WIRE_PAGE_SIZE;
const DEVICE_HEADER_BYTES = 276;
/** Of a recorded channel: some packets, and the middle of one. */
const RECORDED_BYTES = 700_000;
const RECORDED = ["pc-72-multifd", "pc-72-multifd-zstd", "pc-100-multifd", "pc-100-multifd-zstd"];

const PAGES = new Uint8Array(PAYLOAD_BYTES);

/** Stands in for zlib and zstd: the first byte decides what comes out, so that all of it can. */
const decompressor: StreamDecompressor = {
  decompress: (data, size) => {
    const first = data[0] ?? 0;
    if (first === 0xff) return Promise.reject(new Error("not compressed"));
    return Promise.resolve(PAGES.subarray(0, first === 0xfe ? size - 1 : size));
  },
};

/** Takes all that a channel can hold. */
class Sink implements MultifdSink {
  readonly log: CallLog;
  /** Where the present packet ends, by its header. */
  #end = MULTIFD_INIT_BYTES;

  constructor(inputBytes: number) {
    this.log = new CallLog(inputBytes);
  }

  init({ channel }: { readonly channel: number }): void {
    this.log.add(this.#end, "init", String(channel));
  }

  findBlock(name: string): { readonly index: number; readonly length: number } | undefined {
    return name.startsWith("x") ? undefined : { index: 0, length: 2 ** 24 };
  }

  page(_block: number, offset: number, bytes: Uint8Array): void {
    this.log.add(this.#end, "page", String(offset), bytes);
  }

  zeroPage(_block: number, offset: number): void {
    this.log.add(this.#end, "zero page", String(offset));
  }

  sync(packetNumber: number): Promise<void> {
    this.log.add(this.#end, "sync", String(packetNumber));
    return Promise.resolve();
  }

  packet(packet: MultifdPages | MultifdDeviceState): void {
    const { kind, payloadBytes } = packet;
    this.#end += kind === "pages" ? PACKET_BYTES : DEVICE_HEADER_BYTES;
    this.log.add(this.#end, "header", JSON.stringify(packet));
    this.#end += payloadBytes;
    this.log.add(this.#end, "packet", "");
  }

  deviceState(): void {
    // In as many pieces as there are chunks.
  }
}

async function runChannel(bytes: Uint8Array, sizes: readonly number[]): Promise<Outcome> {
  const sink = new Sink(bytes.length);
  const decoder = new MultifdChannelDecoder({ sink, openDecompressor: () => decompressor });
  let pushed = 0;
  let error: MigrationError | undefined;
  try {
    for (const chunk of chunked(bytes, sizes)) {
      pushed += chunk.length;
      await decoder.push(chunk);
      chunk.fill(0xee);
    }
    decoder.end();
  } catch (thrown) {
    error = requireRefusal(thrown, 0, pushed);
  }
  return { log: sink.log, error: error?.serialize() };
}

async function sampleOf(name: string, bytes: Uint8Array): Promise<Sample> {
  const { log } = await runChannel(bytes, []);
  return { name, bytes, ends: [...log.ends.values()] };
}

/** Multifd channels: in any chunks a mutated one is decoded to the same, or refused for the same. */
export async function channelProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const recorded = RECORDED.map((name) =>
    sampleOf(name, fixtureFile(fixture(name), `${name}.c1.stream.zst`).subarray(0, RECORDED_BYTES)),
  );
  const samples = await Promise.all([sampleOf("one of everything", CHANNEL), ...recorded]);
  return fc.asyncProperty(
    fc.nat(samples.length - 1),
    mutations,
    chunkSizes,
    async (index, changes, sizes) => {
      const bytes = mutate(samples[index]!, changes, samples);
      allocations.reset();
      const cut = await runChannel(bytes, sizes);
      allocations.requireWithin(4 * PAYLOAD_BYTES + 2 * bytes.length, bytes.length);
      requireSame(cut, await runChannel(bytes, []));
    },
  );
}
