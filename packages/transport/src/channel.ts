import type { MigrationError } from "@peregrine/protocol";
import type net from "node:net";
import type { Address } from "./address.ts";
import type { GatherList } from "./gather-list.ts";
import type { ClientTls, ServerTls } from "./tls/credentials.ts";

/**
 * A byte stream in both directions. One writer and one reader at a time.
 * Every failure is a MigrationError, by default CHANNEL_FAILED with the peer's address; PEER_SILENT when the
 * other end's kernel answers nothing; TLS_FAILED and CHANNEL_CUT of TLS.
 */
export interface Channel {
  /** The other end, as it is named in error texts: `127.0.0.1:4444` or the path of a socket. */
  readonly peer: string;
  /** Bytes that `write` has handed to the kernel. */
  readonly bytesWritten: number;
  /** Bytes that `read` has delivered. */
  readonly bytesRead: number;
  /** Why the channel is of no use any more. Undefined while it works and after both directions ended in order. */
  readonly error: MigrationError | undefined;
  /** Resolves, never rejects, once the channel is gone; `error` then says why. */
  readonly closed: Promise<void>;
  readonly medium: Medium;
  /** The channel goes into a file, and the bytes can be put at any place. */
  readonly file?: SeekableOutput;
  /** Undefined where no descriptors can come. */
  readonly descriptors?: ReceivedDescriptors | undefined;
  /**
   * Resolves when the kernel has all of `bytes`, so the caller may use the buffer again; nothing is
   * copied before that. A caller that awaits each write holds one buffer in memory, however slow
   * the peer is. Also gives reads, timers and messages of this thread a turn.
   * Several writes may be pending, they are sent in order; one that fails while the caller waits for
   * another does not count as unhandled.
   * Errors: CHANNEL_FAILED, or what was passed to `destroy`.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * How bytes are written from several places of memory without a copy of this side's. Undefined where the system does not
   * take them so: then they have to be put together first, for `write`.
   */
  gathering?(): Promise<Gathering | undefined>;
  /**
   * How bytes that have come are read to several places of memory without a copy of this side's. Undefined where the system
   * does not give them so: then they come in chunks only.
   */
  scattering?(): Promise<Scattering | undefined>;
  /**
   * The incoming bytes, in chunks. Each is valid until the next one is asked for. Nothing is read ahead of the
   * caller but a bounded buffer. It ends when the peer has ended its direction, and throws when the
   * channel fails. A connection that cannot be written to any more first gives what had come until then, where the
   * system can tell. Leaving the loop early loses nothing: a later `read` goes on where this one stopped.
   * A peer that dies in order of its kernel looks the same as one that ended: only the content can tell. Not so over
   * TLS, where that fails with CHANNEL_CUT.
   */
  read(): AsyncGenerator<Uint8Array, void, void>;
  /**
   * Gives the incoming bytes to `take` as they come, for as long as it returns true: what waits for nothing between two
   * chunks needs no promise for each of them. A chunk is done with when `take` returns true; after false it is valid
   * until more is asked for. Resolves behind false, and where no more comes: why is for `read` to tell, which goes on
   * where this stopped. Rejects with what `take` throws. Undefined where it would be no better than `read`.
   */
  pass?(take: (bytes: Uint8Array) => boolean): Promise<void>;
  /**
   * Ends this direction after everything that was written; the other one stays open. What went into a file
   * is on the disk then, and stays there; a command that took the bytes has ended with status 0. Errors as `write`.
   */
  end(): Promise<void>;
  /**
   * Of bytes that come from a command: resolves when it has ended with status 0, which it may do before its
   * last bytes are read. Errors: CHANNEL_FAILED with how it ended.
   */
  succeeded?(): Promise<void>;
  /**
   * Drops the channel at once, with what was not yet sent. Pending calls reject with `error`. A file that was
   * not ended is removed, and a command that still runs is killed with all that it started.
   */
  destroy(error?: MigrationError): void;
  /**
   * Takes the connection out of this thread, for `adopt` in another one; this channel is closed then. Nobody may be
   * writing, or waiting for bytes. Undefined where that cannot be: the channel goes on as it was.
   */
  release?(): Promise<ReleasedConnection | undefined>;
}

/** See `Channel.gathering`. */
export interface Gathering {
  /** Where memory begins that stays where it is, for a list's places. */
  addressOf(memory: Uint8Array): number;
  /**
   * As `Channel.write`, of what is in the list, which is empty then. The bytes are read one after the other as the kernel takes
   * them, at the latest before this resolves. No other write may be pending, or begin before it has ended.
   * Errors: as those of `write`; INTERNAL for a second write.
   */
  write(list: GatherList): Promise<void>;
}

/** See `Channel.scattering`. */
export interface Scattering {
  /** Where memory begins that stays where it is, for a vector's places. */
  addressOf(memory: Uint8Array): number;
  /**
   * Reads what has come behind the last chunk, or comes soon. To be called by `take` of `Channel.pass` only, when it is done
   * with its chunk.
   * @param vector of `readv`: entries of PLACE_BYTES each, an address and a length. It should not have more than 1024.
   * @param patience how long the thread may wait for the first byte, milliseconds.
   * @returns bytes, which the places have in their order; 0 when there is nothing: whether more will come is for the channel
   *   to tell.
   */
  read(vector: Uint8Array, patience: number): number;
  /** Bytes that the next chunk has at most. What is behind them can be read by {@link read} then. */
  boundNext(bytes: number): void;
}

/** A connection between two threads. Survives structured clone. Whoever has it closes the descriptor. */
export interface ReleasedConnection {
  readonly descriptor: number;
  readonly peer: string;
  /** What was read from it already, and given to nobody. */
  readonly bytes: Uint8Array;
}

/**
 * What is at the other end. Only on a connection can the peer answer; the other two have one direction. A pipe
 * has somebody at its other end who can take bytes or leave them, a file has nobody.
 */
export type Medium = "connection" | "pipe" | "file";

/** The places of the file that a channel writes. */
export interface SeekableOutput {
  /** Offset in the file at which the next `write` puts its bytes. */
  readonly position: number;
  /** Lets the next `write` go on at this offset. Bytes that are left out read as zero. */
  seek(position: number): void;
  /** As the channel's `write`, at an offset of its own: `position` stays as it is. */
  writeAt(bytes: Uint8Array, position: number): Promise<void>;
}

/** Descriptors that a peer on this machine hands over. */
export interface ReceivedDescriptors {
  /**
   * The first one that came with the bytes read last, or before them; it belongs to the caller. What came with it is
   * closed, and what nobody takes is closed when others come or the channel is gone.
   */
  take(): number | undefined;
}

/** How a channel behaves, whatever it is made of. */
export interface ChannelOptions {
  /**
   * Milliseconds after which a write that the peer's side takes nothing of fails the channel, because
   * TCP alone needs a quarter of an hour to give up. 0 waits for ever. Default 30 000.
   */
  readonly stallTimeout?: number;
  /**
   * Milliseconds after which a connection of TCP fails of which the other end's kernel has acknowledged nothing, with data in
   * flight or without: PEER_SILENT. A peer that lives and only has no room is none of that. Less than 2000 counts as 2000.
   * 0: never. Default: 5000.
   */
  readonly keepalive?: number;
  /**
   * Lets the peers of a unix socket that is listened on hand descriptors over. Without the package koffi they cannot.
   * Default: false.
   */
  readonly descriptors?: boolean;
  /**
   * Where a socket's bytes are read to, called once for each: worth it where many bytes come. Without it, and where it is
   * not possible, each read has a new buffer of 64 KiB at most.
   */
  readonly readBuffer?: () => Uint8Array;
}

/** How a connection is made. */
export interface ConnectOptions extends ChannelOptions {
  /** Has TLS on the connection. Errors: TLS_FAILED; BAD_PARAMETER for a transport that is no connection of its own. */
  readonly tls?: ClientTls | undefined;
  /** Gives up connecting. Has no effect on a channel that is already connected. */
  readonly signal?: AbortSignal;
}

/** How connections are awaited. */
export interface ListenOptions extends ChannelOptions {
  /** Has TLS on every connection. Errors: BAD_CREDENTIALS; BAD_PARAMETER as for connecting. */
  readonly tls?: ServerTls | undefined;
  /** Told of connections that were not accepted, because their TLS came to nothing. */
  readonly refused?: (error: MigrationError) => void;
}

/** Something that connections are taken from, one after the other. */
export interface Listener {
  /** Where it really listens: the port that was given for port 0. */
  readonly address: Address;
  /** The next connection. Rejects with LISTEN_FAILED when the listener is closed or breaks. */
  accept(): Promise<Channel>;
  /** Stops listening and drops the connections nobody accepted. Accepted channels live on. */
  close(): Promise<void>;
}

export interface SocketTarget {
  readonly target: net.NetConnectOpts;
  /** As error texts name the other end. */
  readonly peer: string;
}

/** What one scheme of a URI does. `rest` is the text after `scheme:`. */
export interface Transport {
  /** Errors: BAD_ADDRESS. */
  parse(rest: string): Address;
  /** Errors: BAD_ADDRESS, CONNECT_FAILED, CANCELLED. */
  connect(rest: string, options: ConnectOptions): Promise<Channel>;
  /** Where it connects, of what has sockets of the system below it. Errors: BAD_ADDRESS. */
  target?(rest: string): SocketTarget;
  /** Errors: BAD_ADDRESS, LISTEN_FAILED. */
  listen(rest: string, options: ListenOptions): Promise<Listener>;
}
