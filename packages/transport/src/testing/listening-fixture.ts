import { formatUri } from "../address.ts";
import type { ConnectOptions, ListenOptions } from "../channel.ts";
import { connect, listen } from "../uri.ts";
import type { TransportFixture } from "./fixture.ts";

export interface ListeningFixtureOptions {
  readonly uri: string;
  readonly listenOptions?: ListenOptions;
  readonly connectOptions?: ConnectOptions;
  /** What has to be added to the address to connect to it, or to listen on it again. */
  readonly connectQuery?: string;
  readonly listenQuery?: string;
  readonly dispose?: () => Promise<void>;
}

/** Ends that are connected by a listener. */
export async function listeningFixture(options: ListeningFixtureOptions): Promise<TransportFixture> {
  const { uri, listenOptions, connectOptions, connectQuery = "", listenQuery = "", dispose } = options;
  const listener = await listen(uri, listenOptions);
  const address = formatUri(listener.address);
  const connectUri = `${address}${connectQuery}`;
  return {
    endpoint: {
      listener,
      connectUri,
      listenUri: `${address}${listenQuery}`,
      clientTls: connectOptions?.tls,
      serverTls: listenOptions?.tls,
    },
    async open(channelOptions = {}) {
      const [writer, accepted] = await Promise.all([
        connect(connectUri, { ...connectOptions, ...channelOptions }),
        listener.accept(),
      ]);
      return { writer, reader: () => Promise.resolve(accepted) };
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await dispose?.();
    },
  };
}
