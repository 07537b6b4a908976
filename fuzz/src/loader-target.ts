import {
  ALL_EXTENSIONS,
  askFor,
  DEFAULT_LIMITS,
  encodeCommand,
  ReturnPathDecoder,
} from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";
import * as fc from "fast-check";
import { feed, feedImage } from "../../packages/dest-agent/test/in-process.ts";
import type { Loading } from "../../packages/dest-agent/test/in-process.ts";
import { destination, SMALL, stoppedSource } from "../../packages/dest-agent/test/machines.ts";
import { bytesOf, TestStream } from "../../packages/dest-agent/test/stream-maker.ts";
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

const MIGRATION = "00112233445566778899aabbccddeeff";
/** Milliseconds that a source waits for LOADED before it goes. */
const LOADED_WAIT = 5;

/** A source waits for its answer, or for none; or it offers its guest, and then decides, or goes without a decision. */
type SourceKind = "answered" | "silent" | "give" | "keep" | "undecided";

/** The stream of a machine that is known, where each piece begins. */
async function describedSamples(): Promise<Readonly<Record<"answered" | "silent" | "offered", Sample>>> {
  const { machine } = await stoppedSource(SMALL);
  const stream = await TestStream.of(machine);
  const sampleOfPieces = (one: TestStream): Sample => {
    const ends = one.pieces.map(({ name }) => [one.offsetOf(name)]);
    return { name: "a known machine", bytes: one.bytes, ends: [...ends, [one.bytes.length]] };
  };
  const silent = ["open-return-path", "ping-1", "ping-2"].reduce((rest, name) => rest.without(name), stream);
  const offers = bytesOf((w) => {
    encodeCommand(w, { kind: "ping", value: askFor(ALL_EXTENSIONS) });
    encodeCommand(w, { kind: "hand-over", step: "offer", migration: MIGRATION });
    encodeCommand(w, { kind: "alive" });
  });
  const offered = stream.before("ram-start", offers);
  return {
    answered: sampleOfPieces(stream),
    silent: sampleOfPieces(silent),
    offered: sampleOfPieces(offered),
  };
}

/** A source that has offered its guest: when it is told that all is loaded, it decides. */
class OfferingSource {
  /** Whether it has been told. */
  loaded = false;
  readonly #told = Promise.withResolvers<void>();
  readonly #decoder: ReturnPathDecoder;

  constructor() {
    this.#decoder = new ReturnPathDecoder({
      limits: LIMITS,
      message: ({ kind }) => {
        if (kind !== "loaded") return;
        this.loaded = true;
        this.#told.resolve();
      },
    });
  }

  async hear(bytes: Uint8Array): Promise<void> {
    this.#decoder.push(bytes);
  }

  async *send(chunks: readonly Uint8Array[], decision: SourceKind): AsyncGenerator<Uint8Array> {
    yield* chunks;
    const wait = Promise.withResolvers<void>();
    const timer = setTimeout(wait.resolve, LOADED_WAIT);
    await Promise.race([this.#told.promise, wait.promise]);
    clearTimeout(timer);
    if (!this.loaded || decision === "undecided") return;
    const step = decision === "give" ? "give" : "keep";
    yield bytesOf((w) => encodeCommand(w, { kind: "hand-over", step, migration: MIGRATION }));
  }
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
  const asked = sent.some(({ kind }) => kind === "loaded");
  require(committed || error !== undefined || asked, "a load that neither fails nor succeeds");
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
  const samples = await describedSamples();
  const donors = [...Object.values(samples), ...Object.entries(smallStreams()).map(sampleOf)];
  const options = { limits: LIMITS, patience: PATIENCE };
  const load = async (bytes: Uint8Array, sizes: readonly number[]): Promise<Loading> => {
    const guest = destination();
    const fed = await feed({ chunks: chunked(bytes, sizes), ...options, guest });
    requireAllOrNothing(fed);
    require(!guest.machine.running, "a guest that the loader has started");
    return fed;
  };
  /** Without a decision the guest stands still at both ends: that is neither. */
  const handOver = async (
    bytes: Uint8Array,
    sizes: readonly number[],
    decision: SourceKind,
  ): Promise<void> => {
    const source = new OfferingSource();
    const { error, committed } = await feed({
      chunks: source.send(chunked(bytes, sizes), decision),
      write: (message) => source.hear(message),
      ...options,
    });
    if (error !== undefined) requireKnownCode(error);
    if (source.loaded && decision !== "give") require(!committed, "a guest that was kept is taken");
  };
  return fc.asyncProperty(
    fc.constantFrom<SourceKind>("answered", "answered", "silent", "silent", "give", "keep", "undecided"),
    mutations,
    chunkSizes,
    async (kind, changes, sizes) => {
      if (kind !== "answered" && kind !== "silent") {
        await handOver(mutate(samples.offered, changes, donors), sizes, kind);
        return;
      }
      const bytes = mutate(samples[kind], changes, donors);
      allocations.reset();
      const cut = await load(bytes, sizes);
      // The machine's own memory, and what is on its way into it.
      allocations.requireWithin(16 * MIB + 2 * bytes.length, bytes.length);
      // A source that waits for its answer does not end the stream as these do.
      if (changes.length === 0 && kind === "silent")
        require(cut.error === undefined, `a good stream refused: ${cut.error?.message}`);
      const whole = await load(bytes, []);
      require(outcomeOf(cut) ===
        outcomeOf(whole), `in chunks: ${outcomeOf(cut)}; at once: ${outcomeOf(whole)}`);
    },
  );
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
