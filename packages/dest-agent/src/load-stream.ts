import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode, MigrationId } from "@peregrine/protocol";
import { LoopTurn } from "@peregrine/transport";
import type { ChunkReader } from "./chunk-reader.ts";
import { HandOver } from "./hand-over.ts";
import type { LoadTarget } from "./load-target.ts";
import { SilenceWatch } from "./silence-watch.ts";
import { StreamLoader } from "./stream-loader.ts";
import type { StreamLoaderOptions } from "./stream-loader.ts";

/**
 * Milliseconds to wait for the vmdescription. A source that leaves it out waits for the answer, and
 * nothing on the wire tells the two apart; one that sends it sends it at once.
 */
const DESCRIPTION_WAIT = 500;

/** Milliseconds to wait where any zero byte can be the end mark. */
const UNDIVIDED_WAIT = 2000;

/**
 * Milliseconds without a byte after which device sections that have begun count as cut off. The guest stands still
 * all that time, and the source waits for an answer for as long as it gets none.
 */
const STALL_LIMIT = 30_000;

/** How a connection ends that nobody ends in order. A QEMU does so over TLS. */
const BROKEN: ReadonlySet<ErrorCode> = new Set(["CHANNEL_FAILED", "CHANNEL_CUT", "PEER_SILENT"]);

/** Milliseconds. */
export interface Patience {
  /** Default: 500. */
  readonly description?: number;
  /** Default: 2000. */
  readonly undivided?: number;
  /** Default: 30 000. */
  readonly stall?: number;
}

export interface LoadStreamOptions extends StreamLoaderOptions {
  readonly chunks: ChunkReader;
  readonly target: LoadTarget;
  /** Resolves when the channel is gone, with why if it broke. Nobody may be reading from it then. */
  readonly broken?: Promise<MigrationError | undefined>;
  /** Why the channel is of no use any more, if it is known by now. What had come before can still be read. */
  readonly failure?: () => MigrationError | undefined;
  /** Resolves when no connection is left that may have something to say about this stream. */
  readonly identified?: () => Promise<void>;
  readonly patience?: Patience;
  /** Whether the load was called off here. Default: it was not. */
  readonly calledOff?: () => boolean;
  /** Milliseconds of silence after which a source counts as dead that has promised to speak up; 0: never. Default: 0. */
  readonly silence?: number;
}

/** What has become of a stream that was loaded. */
export type StreamOutcome =
  /** The source has been told that it has lost its guest. */
  | { readonly kind: "taken" }
  /** The source was asked to decide, and the connection broke before its answer came. */
  | { readonly kind: "undecided"; readonly error: MigrationError };

/**
 * One connection from its first byte to the moment when it is known who has the guest, or when nobody will say. Waits
 * wherever bytes are missing, and reads nothing while a device is being loaded.
 *
 * Errors: what the stream is refused for, with the place in it; what the machine or the channel fails with. The guest
 * is not this side's then.
 */
export async function loadStream(options: LoadStreamOptions): Promise<StreamOutcome> {
  const { interruption, machine, returnPath, identified } = options;
  const handOver = new HandOver(returnPath);
  const loader = new StreamLoader({ ...options, handOver });
  void watchChannel(loader, options);
  let isRead = false;
  using _watch = new SilenceWatch({
    ...options,
    rests: () => loader.rests,
    saidAll: () => isRead && loader.progress !== "description",
    silence: options.silence ?? 0,
  });
  await readToEnd(loader, handOver, options);
  isRead = true;
  const reading = watchSource(loader, handOver, options);
  await machine.complete();
  if (identified !== undefined) await interruption.wait(identified());
  await interruption.wait(returnPath.answered());
  const { migration } = handOver;
  if (migration !== undefined) return await decided(handOver, migration, reading, options);
  await take(options);
  // Resolves when the kernel has the message. Should the connection break before the source has read it,
  // the source keeps its guest, and this side starts it as well: such a source has no other protocol.
  await returnPath.taken();
  options.statistics.answered();
  return { kind: "taken" };
}

async function take({ interruption, target, returnPath }: LoadStreamOptions): Promise<void> {
  await interruption.wait(target.commit(returnPath.isOpen));
}

/**
 * Asks the source to decide, and does what it says. Errors: it keeps the guest, or the load was called off here.
 *
 * @param reading settles when nothing more comes from the source.
 */
async function decided(
  handOver: HandOver,
  migration: MigrationId,
  reading: Promise<void>,
  options: LoadStreamOptions,
): Promise<StreamOutcome> {
  const { interruption, target, returnPath, calledOff } = options;
  await interruption.wait(target.accept(migration));
  handOver.asked();
  let decision: "give" | "keep" | undefined;
  try {
    await interruption.wait(returnPath.loaded(migration));
    decision = await interruption.wait(handOver.decided);
  } catch (error) {
    // What was called off here never runs here, and the source is told so.
    if (calledOff?.() === true) throw error;
    // A source that could not be answered may have decided before.
    if (options.failure?.() !== undefined) await reading;
    decision = handOver.heard;
    if (decision === undefined) return { kind: "undecided", error: MigrationError.from(error) };
  }
  if (decision === "keep") throw kept();
  // From here on a broken connection changes nothing: the decision is taken.
  const unknown = await target.commit(true);
  if (unknown !== undefined) return { kind: "undecided", error: unknown };
  // The source has given the guest away already. Whether it hears this only tells it so.
  await returnPath.taken().catch(() => false);
  options.statistics.answered();
  return { kind: "taken" };
}

function kept(): MigrationError {
  return new MigrationError("CANCELLED", "The source has decided to keep the guest");
}

async function readToEnd(
  loader: StreamLoader,
  handOver: HandOver,
  options: LoadStreamOptions,
): Promise<void> {
  const { chunks, interruption, statistics } = options;
  // Bytes of a fast source would be given one after the other without an end.
  const turn = new LoopTurn();
  let loaded: Promise<void> | undefined;
  const loadAtOnce = (bytes: Uint8Array): boolean => {
    // Nobody waits for it any more.
    if (interruption.happened) return false;
    statistics.addBytes(bytes.length);
    loaded = loader.push(bytes);
    if (loaded === undefined && loader.progress === "to-come") loaded = loader.readExpected(turn);
    // It is waited for below, unless the load is over before that.
    loaded?.catch(() => {});
    return loaded === undefined && !turn.isOver && loader.progress === "to-come";
  };
  let quiet = 0;
  while (loader.progress !== "description") {
    // A source that offers its guest marks the end of its stream.
    const patience = handOver.migration === undefined ? patienceFor(loader, options) : undefined;
    const arrival = await interruption.wait(chunks.next(patience));
    switch (arrival.kind) {
      case "chunk":
        quiet = 0;
        // While no end is near, nothing but the bytes is waited for.
        if (loadAtOnce(arrival.bytes)) await interruption.wait(chunks.pass(loadAtOnce));
        await loaded;
        await turn.next();
        break;
      case "end":
        await streamEnded(loader, handOver, options);
        return;
      case "quiet":
        if (await loader.quiet()) return;
        quiet += patience ?? 0;
        if (quiet >= (options.patience?.stall ?? STALL_LIMIT)) throw stalled(quiet);
        break;
    }
  }
}

/** How long to wait for the next byte before the stream may count as complete. Undefined: for ever. */
function patienceFor(loader: StreamLoader, { returnPath, patience }: LoadStreamOptions): number | undefined {
  switch (loader.progress) {
    case "end-mark":
      return patience?.description ?? DESCRIPTION_WAIT;
    case "held":
      // A source that waits for no answer ends the stream, which is a better sign.
      return returnPath.isOpen ? (patience?.description ?? DESCRIPTION_WAIT) : undefined;
    case "held-without-footers":
      return returnPath.isOpen ? (patience?.undivided ?? UNDIVIDED_WAIT) : undefined;
    default:
      return undefined;
  }
}

/** A channel that breaks while nothing is read from it would not be noticed otherwise. */
async function watchChannel(loader: StreamLoader, options: LoadStreamOptions): Promise<void> {
  const error = await options.broken;
  if (error !== undefined && !sourceIsDone(loader, options)) options.interruption.interrupt(error);
}

/**
 * Between the end of the stream and the answer, a source has nothing more to send. It can only end its
 * direction, and with that it takes its guest back.
 */
async function watchSource(
  loader: StreamLoader,
  handOver: HandOver,
  options: LoadStreamOptions,
): Promise<void> {
  const { chunks, interruption, statistics } = options;
  try {
    for (;;) {
      const arrival = await chunks.next();
      if (arrival.kind !== "chunk") break;
      statistics.addBytes(arrival.bytes.length);
      // A vmdescription that took its time; the loader refuses anything else.
      await loader.push(arrival.bytes);
    }
    await streamEnded(loader, handOver, options);
  } catch (cause) {
    const error = MigrationError.from(cause);
    if (BROKEN.has(error.code) && sourceIsDone(loader, options)) return;
    interruption.interrupt(error);
  }
}

/** A source that waits for no answer has sent everything: how its connection ends says nothing any more. */
function sourceIsDone({ progress }: StreamLoader, { returnPath }: LoadStreamOptions): boolean {
  return !returnPath.isOpen && (progress === "end-mark" || progress === "description");
}

async function streamEnded(
  loader: StreamLoader,
  handOver: HandOver,
  { returnPath }: LoadStreamOptions,
): Promise<void> {
  await loader.streamEnded();
  if (!returnPath.isOpen) return;
  const text = handOver.isAsked
    ? "The source ended the connection and did not say whether it gives the guest or keeps it"
    : "The source ended the connection before it was told that the guest is loaded, so the guest stays there";
  throw new MigrationError("CHANNEL_FAILED", text);
}

function stalled(milliseconds: number): MigrationError {
  const text = `The source has sent nothing for ${milliseconds / 1000} s in the middle of its device sections`;
  return new MigrationError("TRUNCATED", `${text}, so the guest stays there`);
}
