import { MigrationError } from "@peregrine/protocol";
import type { ChunkReader } from "./chunk-reader.ts";
import type { LoadTarget } from "./load-target.ts";
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
  /** Resolves when no connection is left that may have something to say about this stream. */
  readonly identified?: () => Promise<void>;
  readonly patience?: Patience;
}

/**
 * One connection from its first byte to the moment when the source has been told that it has lost its
 * guest. Waits wherever bytes are missing, and reads nothing while a device is being loaded.
 *
 * Errors: what the stream is refused for, with the place in it; what the machine or the channel fails with.
 */
export async function loadStream(options: LoadStreamOptions): Promise<void> {
  const { interruption, machine, returnPath, target, identified } = options;
  const loader = new StreamLoader(options);
  void watchChannel(loader, options);
  await readToEnd(loader, options);
  void watchSource(loader, options);
  await machine.complete();
  if (identified !== undefined) await interruption.wait(identified());
  await interruption.wait(returnPath.answered());
  await interruption.wait(target.commit(returnPath.isOpen));
  // Resolves when the kernel has the message. Should the connection break before the source has read it,
  // the source keeps its guest, and this side starts it as well: who may run it then is not yet decided
  // by this exchange.
  await returnPath.shut(0);
  options.statistics.answered();
}

async function readToEnd(loader: StreamLoader, options: LoadStreamOptions): Promise<void> {
  const { chunks, interruption, statistics } = options;
  let quiet = 0;
  while (loader.progress !== "description") {
    const patience = patienceFor(loader, options);
    const arrival = await interruption.wait(chunks.next(patience));
    switch (arrival.kind) {
      case "chunk":
        quiet = 0;
        statistics.addBytes(arrival.bytes.length);
        await loader.push(arrival.bytes);
        break;
      case "end":
        await streamEnded(loader, options);
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
async function watchSource(loader: StreamLoader, options: LoadStreamOptions): Promise<void> {
  const { chunks, interruption, statistics } = options;
  try {
    for (;;) {
      const arrival = await chunks.next();
      if (arrival.kind !== "chunk") break;
      statistics.addBytes(arrival.bytes.length);
      // A vmdescription that took its time; the loader refuses anything else.
      await loader.push(arrival.bytes);
    }
    await streamEnded(loader, options);
  } catch (cause) {
    const error = MigrationError.from(cause);
    if (error.code === "CHANNEL_FAILED" && sourceIsDone(loader, options)) return;
    interruption.interrupt(error);
  }
}

/** A source that waits for no answer has sent everything: how its connection ends says nothing any more. */
function sourceIsDone({ progress }: StreamLoader, { returnPath }: LoadStreamOptions): boolean {
  return !returnPath.isOpen && (progress === "end-mark" || progress === "description");
}

async function streamEnded(loader: StreamLoader, { returnPath }: LoadStreamOptions): Promise<void> {
  await loader.streamEnded();
  if (!returnPath.isOpen) return;
  throw new MigrationError(
    "CHANNEL_FAILED",
    "The source ended the connection before it was told that the guest is loaded, so the guest stays there",
  );
}

function stalled(milliseconds: number): MigrationError {
  const text = `The source has sent nothing for ${milliseconds / 1000} s in the middle of its device sections`;
  return new MigrationError("TRUNCATED", `${text}, so the guest stays there`);
}
