import { MigrationError } from "@peregrine/protocol";
import type { ChunkReader } from "./chunk-reader.ts";
import { StreamLoader } from "./stream-loader.ts";
import type { StreamLoaderOptions } from "./stream-loader.ts";

/**
 * Milliseconds to wait for the vmdescription. A source that leaves it out waits for the answer, and
 * nothing on the wire tells the two apart; one that sends it sends it at once.
 */
const DESCRIPTION_WAIT = 500;

export interface LoadStreamOptions extends StreamLoaderOptions {
  readonly chunks: ChunkReader;
  /** Milliseconds. Default: 500. */
  readonly descriptionWait?: number;
}

/**
 * One connection from its first byte to the moment when the source has been told that it has lost its
 * guest. Waits wherever bytes are missing, and reads nothing while a device is being loaded.
 *
 * Errors: what the stream is refused for, with the place in it; what the machine or the channel fails with.
 */
export async function loadStream(options: LoadStreamOptions): Promise<void> {
  const { interruption, returnPath, target } = options;
  const loader = new StreamLoader(options);
  await readToEnd(loader, options);
  void watchSource(loader, options);
  await loader.prepared();
  await interruption.wait(returnPath.answered());
  await interruption.wait(target.commit());
  // Resolves when the kernel has the message. Should the connection break before the source has read it,
  // the source keeps its guest, and this side starts it as well: who may run it then is not yet decided
  // by this exchange.
  await returnPath.shut(0);
}

async function readToEnd(loader: StreamLoader, options: LoadStreamOptions): Promise<void> {
  const { chunks, interruption, statistics, descriptionWait } = options;
  while (loader.end !== "description") {
    const patience = loader.end === "end-mark" ? (descriptionWait ?? DESCRIPTION_WAIT) : undefined;
    const arrival = await interruption.wait(chunks.next(patience));
    switch (arrival.kind) {
      case "chunk":
        statistics.addBytes(arrival.bytes.length);
        await loader.push(arrival.bytes);
        break;
      case "end":
        streamEnded(loader, options);
        return;
      case "quiet":
        return;
    }
  }
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
    streamEnded(loader, options);
  } catch (error) {
    interruption.interrupt(MigrationError.from(error));
  }
}

function streamEnded(loader: StreamLoader, { returnPath }: LoadStreamOptions): void {
  loader.streamEnded();
  if (!returnPath.isOpen) return;
  throw new MigrationError(
    "CHANNEL_FAILED",
    "The source ended the connection before it was told that the guest is loaded, so the guest stays there",
  );
}
