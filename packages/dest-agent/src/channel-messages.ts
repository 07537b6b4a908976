import type { MultifdInit, SerializedError } from "@peregrine/protocol";
import type { RamAccess } from "@peregrine/shared-state";
import type { ReleasedConnection } from "@peregrine/transport";
import type { PlacedBlock } from "./ram-loader.ts";

/** What the thread of a multifd channel is started with. All of it survives structured clone. */
export interface ChannelTask {
  /** Of the IncomingStatistics. */
  readonly statistics: SharedArrayBuffer;
  /** Which of their writers this thread is. */
  readonly writer: number;
  /** One Int32, not 0 when all of memory has come: no page may follow. */
  readonly memoryComplete: SharedArrayBuffer;
}

/** From the incoming thread to the thread of a channel. */
export type MessageToChannel =
  /**
   * Load this connection to its end. `bytes` are the first ones that came on it; without a connection the others follow
   * as messages.
   */
  | {
      readonly kind: "load";
      readonly connection: ReleasedConnection | undefined;
      readonly bytes: Uint8Array;
    }
  /** The next bytes. Answers `taken`, and no others come before that. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** There are no more bytes. */
  | { readonly kind: "end" }
  /** Where the pages go; before the first `go-on`. */
  | { readonly kind: "memory"; readonly ram: RamAccess; readonly blocks: readonly PlacedBlock[] }
  /** The main stream and all channels have come to the sync. */
  | { readonly kind: "go-on" }
  /** Drop the connection, and end. The last message. */
  | { readonly kind: "close" };

/** From the thread of a channel to the incoming thread. */
export type MessageFromChannel =
  /** The descriptor of the connection is this thread's. */
  | { readonly kind: "adopted" }
  /** The channel says which one it is. */
  | { readonly kind: "init"; readonly init: MultifdInit }
  | { readonly kind: "taken" }
  /** It has come to a sync. Answers `go-on`. */
  | { readonly kind: "sync" }
  /** It has ended behind a whole packet. */
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly error: SerializedError };
