import { connect } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { LOGIN } from "./token.ts";

type Message = Record<string, unknown>;

/** A client that sends what it is told to, byte for byte. */
export class RawClient {
  readonly channel: Channel;
  readonly #messages: AsyncGenerator<Message, void, void>;

  private constructor(channel: Channel) {
    this.channel = channel;
    this.#messages = readMessages(channel);
  }

  static async connect(uri: string): Promise<RawClient> {
    return new RawClient(await connect(uri));
  }

  /** Connected, greeted and past the negotiation. */
  static async negotiated(uri: string): Promise<RawClient> {
    const client = await RawClient.connect(uri);
    await client.next();
    await client.ask(LOGIN);
    return client;
  }

  send(text: string): Promise<void> {
    return this.channel.write(Buffer.from(text));
  }

  /** The next object from the monitor; undefined at the end. */
  async next(): Promise<Message | undefined> {
    const { value } = await this.#messages.next();
    return value ?? undefined;
  }

  async ask(request: unknown): Promise<Message | undefined> {
    await this.send(`${JSON.stringify(request)}\n`);
    return this.next();
  }
}

async function* readMessages(channel: Channel): AsyncGenerator<Message, void, void> {
  let text = "";
  for await (const chunk of channel.read()) {
    text += Buffer.from(chunk).toString();
    const lines = text.split("\r\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as Message;
  }
}
