import { DEFAULT_LIMITS } from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";
import * as fc from "fast-check";
import { feed, feedImage } from "../../packages/dest-agent/test/in-process.ts";
import type { Loading } from "../../packages/dest-agent/test/in-process.ts";
import { destination, SMALL, stoppedSource } from "../../packages/dest-agent/test/machines.ts";
import { TestStream } from "../../packages/dest-agent/test/stream-maker.ts";
import { chunkSizes, mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import type { Mutation, Sample } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { thinnedRecordings } from "../../packages/protocol/fuzz/recordings.ts";
import { smallStreams } from "../../packages/protocol/fuzz/samples.ts";
import { chunked } from "../../packages/protocol/test/support.ts";

const MIB = 2 ** 20;

/** Enough for the samples, so that mutated ones go beyond it. */
const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  maxOpenSections: 64,
  maxItemBytes: 2 * MIB,
  maxDeviceTailBytes: MIB,
  maxDeviceBytes: MIB,
  maxVmDescriptionBytes: MIB / 4,
  maxRamBytes: 64 * MIB,
};

/** What is waited for where a stream is kept open. Milliseconds. */
const PATIENCE = { description: 1, undivided: 1, stall: 2 };

/** Recordings that are small without most of their pages; one of each era, with deltas and compressed pages. */
const RECORDED = ["pc-72", "pc-100", "pc20-72", "pc23-72-dirty", "pc-72-xbzrle", "pc-100-retpath"];

/** The stream of a machine that is known, where each piece begins: of a source that waits for answers, and of one that does not. */
async function describedSamples(): Promise<readonly [waiting: Sample, silent: Sample]> {
  const { machine } = await stoppedSource(SMALL);
  const stream = await TestStream.of(machine);
  const sampleOfPieces = (one: TestStream): Sample => {
    const ends = one.pieces.map(({ name }) => [one.offsetOf(name)]);
    return { name: "a known machine", bytes: one.bytes, ends: [...ends, [one.bytes.length]] };
  };
  const silent = ["open-return-path", "ping-1", "ping-2"].reduce((rest, name) => rest.without(name), stream);
  return [sampleOfPieces(stream), sampleOfPieces(silent)];
}

/** Offsets of what looks like the beginning of a section. */
function sampleOf([name, bytes]: [string, Uint8Array]): Sample {
  const footers: number[] = [];
  for (let at = bytes.indexOf(0x7e); at >= 0; at = bytes.indexOf(0x7e, at + 1)) footers.push(at, at + 5);
  return { name, bytes, ends: [[0], [8], footers, [bytes.length]] };
}

/** A load is all or nothing: the source is told that it has lost its guest if, and only if, everything was taken. */
function requireAllOrNothing({ error, sent, committed }: Loading): void {
  if (error !== undefined) requireKnownCode(error);
  require(committed || error !== undefined, "a load that neither fails nor succeeds");
  const told = sent.find((message) => message.kind === "shut" && message.status === 0);
  require(told === undefined || (committed && error === undefined), "a source told of a load that failed");
}

function outcomeOf({ error, committed }: Loading): string {
  if (error === undefined) return `loaded, ${committed}`;
  return error.code === "LIMIT_EXCEEDED" ? error.message.replace(/^\d+/u, "so many") : error.message;
}

/** Streams for a machine that is known: whatever comes, it is loaded as a whole or not at all. */
export async function describedProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const [waiting, silent] = await describedSamples();
  const donors = [waiting, silent, ...Object.entries(smallStreams()).map(sampleOf)];
  const load = async (bytes: Uint8Array, sizes: readonly number[]): Promise<Loading> => {
    const guest = destination();
    const fed = await feed({ chunks: chunked(bytes, sizes), limits: LIMITS, patience: PATIENCE, guest });
    requireAllOrNothing(fed);
    require(!guest.machine.running, "a guest that the loader has started");
    return fed;
  };
  return fc.asyncProperty(fc.boolean(), mutations, chunkSizes, async (answered, changes, sizes) => {
    const bytes = mutate(answered ? waiting : silent, changes, donors);
    allocations.reset();
    const cut = await load(bytes, sizes);
    // The machine's own memory, and what is on its way into it.
    allocations.requireWithin(16 * MIB + 2 * bytes.length, bytes.length);
    // A source that waits for its answer does not end the stream as these do.
    if (changes.length === 0 && !answered)
      require(cut.error === undefined, `a good stream refused: ${cut.error?.message}`);
    const whole = await load(bytes, []);
    require(outcomeOf(cut) ===
      outcomeOf(whole), `in chunks: ${outcomeOf(cut)}; at once: ${outcomeOf(whole)}`);
  });
}

/** Streams of any machine, as an image takes them. */
export async function carriedProperty(
  allocations: Allocations,
): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const recorded = Object.entries({ ...smallStreams(), ...thinnedRecordings(RECORDED) });
  const samples = recorded.map(sampleOf);
  const load = async (sample: Sample, bytes: Uint8Array, sizes: readonly number[]): Promise<Loading> => {
    const fed = await feedImage({
      chunks: chunked(bytes, sizes),
      limits: LIMITS,
      patience: PATIENCE,
      ...(sample.name.includes("mapped") ? { fileOffset: 0 } : {}),
    });
    requireAllOrNothing(fed);
    const { image, error } = fed;
    if (error === undefined) {
      // It can be sent on.
      require(image.carried.closing().late.length >= 0, "an image without devices");
      require((image.summary?.pagesWithContents ?? 0) * 4096 <= LIMITS.maxRamBytes, "more pages than memory");
    }
    await image.dispose();
    return fed;
  };
  return fc.asyncProperty(
    fc.nat(samples.length - 1),
    mutations,
    chunkSizes,
    async (index: number, changes: readonly Mutation[], sizes) => {
      const sample = samples[index]!;
      const bytes = mutate(sample, changes, samples);
      allocations.reset();
      const cut = await load(sample, bytes, sizes);
      allocations.requireWithin(8 * MIB + 2 * bytes.length, bytes.length);
      const whole = await load(sample, bytes, []);
      require(outcomeOf(cut) ===
        outcomeOf(whole), `in chunks: ${outcomeOf(cut)}; at once: ${outcomeOf(whole)}`);
    },
  );
}
