import type { MultifdCompression, SerializedError } from "@peregrine/protocol";
import type { RamAccess } from "@peregrine/shared-state";
import type { ClientTls } from "@peregrine/transport";

/** What the thread of a multifd connection is started with. All of it survives structured clone. */
export interface MultifdThreadData {
  readonly uri: string;
  readonly tls: ClientTls | undefined;
  /** How long the connection may take, milliseconds. */
  readonly connectTimeout: number;
  /** As that of a ChannelOptions. */
  readonly keepalive: number;
  /** Which of the connections it is, from 0 on. */
  readonly channel: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  readonly ram: RamAccess;
  readonly compression: MultifdCompression;
  readonly level: number;
  /** One Int32: the number of the next packet, over all connections. */
  readonly packetNumbers: SharedArrayBuffer;
}

/** From the migration thread to the thread of a connection. */
export type MessageToMultifd =
  /**
   * Send these pages of a block: pairs of a run's first page and how many it has, a batch of them. Answers
   * `read` and then `sent`; at most {@link BATCHES_IN_FLIGHT} are under way.
   */
  | { readonly kind: "pages"; readonly block: number; readonly runs: Uint32Array }
  /** Send a packet behind which the destination waits for the others. Answers `sent`. */
  | { readonly kind: "sync" }
  /** Drop the connection, and end. The last message. */
  | { readonly kind: "close" };

/** From the thread of a connection to the migration thread. */
export type MessageFromMultifd =
  /** It is connected and has said which connection it is. */
  | { readonly kind: "open"; readonly bytes: number }
  /** The pages were looked at. Those that are zero are not sent here. */
  | {
      readonly kind: "read";
      readonly block: number;
      readonly zeroPages: Uint32Array;
      readonly normal: number;
    }
  /** The kernel has a batch: its bytes, and the pages in it. */
  | { readonly kind: "sent"; readonly bytes: number; readonly pages: number }
  /** Nothing more can be sent. */
  | { readonly kind: "failed"; readonly error: SerializedError };

/** While one is being compressed and written, the next one is looked at. */
export const BATCHES_IN_FLIGHT = 2;

/** Full packets of a batch: with fewer, messages between the threads cost more than what they are about. */
export const packetsPerBatch = (isCompressed: boolean): number => (isCompressed ? 1 : 4);
