import type { Channel, ChannelOptions, Listener, Medium } from "../channel.ts";
import type { ClientTls, ServerTls } from "../tls/credentials.ts";

/** What kind of transport it is. That decides which parts of the suite it has to pass. */
export interface TransportTraits {
  readonly medium: Medium;
  /** Any number of channels can be opened to one listener, by who knows its address. */
  readonly listens: boolean;
  /** What a writer is told whose peer has gone. Of no meaning for a file. */
  readonly gone: RegExp;
  /** An end that the peer has not given is told from one that it has. Default: they look the same. */
  readonly tellsCuts?: true;
  /** Its writer can write from several places of memory. Default: it cannot. */
  readonly gathers?: true;
  /** Its reader can read to several places of memory. Default: it cannot. */
  readonly scatters?: true;
}

/** The two ends of a channel. */
export interface Ends {
  readonly writer: Channel;
  /** The other end: of a file, once the writer has ended. */
  readonly reader: () => Promise<Channel>;
}

export interface TransportFixture extends AsyncDisposable {
  open(options?: ChannelOptions): Promise<Ends>;
  /** Of a transport that listens. */
  readonly endpoint?: Endpoint;
}

/** Where a fixture listens. */
export interface Endpoint {
  readonly listener: Listener;
  /** To connect there, and to listen there once it is closed. */
  readonly connectUri: string;
  readonly listenUri: string;
  /** Of TLS: what the two sides have. */
  readonly clientTls?: ClientTls | undefined;
  readonly serverTls?: ServerTls | undefined;
}
