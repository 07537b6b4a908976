import { MigrationError } from "@peregrine/protocol";
import type { ChunkReader } from "./chunk-reader.ts";
import { processClock } from "./incoming-statistics.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import type { MultifdReceiver } from "./multifd-receiver.ts";
import type { ReturnPath } from "./return-path.ts";

/**
 * A source that has nothing to say but that it lives sends no more bytes than these in the time in which it may be silent,
 * and it never stops in the middle of something.
 */
const BYTES_OF_NOTHING = 256;

export interface SilenceWatchOptions {
  readonly chunks: Pick<ChunkReader, "waitingSince">;
  readonly multifd?: Pick<MultifdReceiver, "waitingSince"> | undefined;
  readonly statistics: Pick<IncomingStatistics, "bytes">;
  readonly interruption: Pick<Interruption, "interrupt">;
  readonly returnPath: Pick<ReturnPath, "extensions">;
  /** Whether nothing of the stream has come in part. */
  readonly rests: () => boolean;
  /** Whether the source may say nothing more: all has come, and no vmdescription behind which it could say that it lives. */
  readonly saidAll: () => boolean;
  /** Milliseconds; 0: nothing is watched. */
  readonly silence: number;
}

/**
 * Ends a load whose source has promised to speak up, and is dead, frozen or cut off; or that lives and waits to be
 * answered, because a damaged length makes this side wait for bytes that never come. Only the time counts in which
 * something is waited for.
 */
export class SilenceWatch implements Disposable {
  readonly #options: SilenceWatchOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #heardAt = processClock();
  /** When so many bytes had come last that they meant something. */
  #markedAt = processClock();
  #marked = 0;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
    const { silence } = options;
    if (silence > 0) this.#timer = setInterval(() => this.#look(), Math.min(silence / 4, 1000));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { chunks, multifd, returnPath, statistics, interruption, saidAll, silence } = this.#options;
    const now = processClock();
    const { bytes } = statistics;
    if (bytes !== this.#bytes) this.#heardAt = now;
    this.#bytes = bytes;
    const waitingSince = chunks.waitingSince ?? multifd?.waitingSince;
    const waits = returnPath.extensions.alive && waitingSince !== undefined && !saidAll();
    if (!waits || this.#means(bytes)) {
      this.#markedAt = now;
      this.#marked = bytes;
    }
    if (!waits) return;
    const seconds = (silence / 1000).toFixed(1);
    if (now - Math.max(waitingSince, this.#heardAt) > silence) {
      const text = `The source has said nothing for ${seconds} s: it is dead, frozen or cut off`;
      interruption.interrupt(new MigrationError("PEER_SILENT", text));
    } else if (now - this.#markedAt > silence) {
      const text = `The source has sent nothing more for ${seconds} s, in the middle of something: a length in its stream is damaged`;
      interruption.interrupt(new MigrationError("TRUNCATED", text));
    }
  }

  /** Whether the source need not send anything, or has. */
  #means(bytes: number): boolean {
    return this.#options.rests() || bytes - this.#marked > BYTES_OF_NOTHING;
  }
}
