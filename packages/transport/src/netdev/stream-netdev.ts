import { formatUri } from "../address.ts";
import type { TcpAddress, UnixAddress } from "../address.ts";
import type { Channel } from "../channel.ts";
import { connect } from "../uri.ts";
import type { Netdev } from "./netdev.ts";

/** Longest that a frame waits for a connection. Milliseconds. */
const CONNECT_TIMEOUT_MS = 2000;

const LENGTH_BYTES = 4;

/** As QEMU's `-netdev stream`: each frame is preceded by its length, 4 bytes with the highest first. */
export class StreamNetdev implements Netdev {
  readonly #uri: string;
  #channel: Channel | undefined;
  #connecting = new AbortController();

  constructor(address: TcpAddress | UnixAddress) {
    this.#uri = formatUri(address);
  }

  async send(frame: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(LENGTH_BYTES + frame.length);
    new DataView(bytes.buffer).setUint32(0, frame.length);
    bytes.set(frame, LENGTH_BYTES);
    this.#channel ??= await this.#connect();
    await this.#channel.write(bytes);
  }

  close(): void {
    this.#connecting.abort();
    this.#connecting = new AbortController();
    this.#channel?.destroy();
    this.#channel = undefined;
  }

  async #connect(): Promise<Channel> {
    const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#connecting.signal, timeout]);
    const channel = await connect(this.#uri, { signal });
    void this.#discardFrames(channel);
    return channel;
  }

  /** The guest takes no frames; the peer would wait if nobody read them. Ends with the connection. */
  async #discardFrames(channel: Channel): Promise<void> {
    try {
      for await (const _ of channel.read());
    } catch {
      // Whoever sends the next frame connects again, and is told why that fails.
    }
    channel.destroy();
    if (this.#channel === channel) this.#channel = undefined;
  }
}
