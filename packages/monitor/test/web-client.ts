import { pack } from "msgpackr/pack";
import { unpack } from "msgpackr/unpack";
import { once } from "node:events";
import { LOGIN } from "./token.ts";

type Message = Record<string, unknown>;

/** A client of the monitor with the WebSocket that browsers have. */
export class WebClient {
  readonly socket: WebSocket;
  readonly #messages: Message[] = [];
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      this.#messages.push(unpack(new Uint8Array(data as ArrayBuffer)) as Message);
      this.#wake();
    });
  }

  /** Connected, and greeted next. Errors: when it is not let in. */
  static async connect(uri: string): Promise<WebClient> {
    const client = new WebClient(new WebSocket(uri));
    await Promise.race([
      once(client.socket, "open"),
      once(client.socket, "error").then(() => {
        throw new Error(`${uri} did not let the client in`);
      }),
    ]);
    return client;
  }

  /** Connected, greeted and past the negotiation. */
  static async negotiated(uri: string): Promise<WebClient> {
    const client = await WebClient.connect(uri);
    await client.next();
    await client.ask(LOGIN);
    return client;
  }

  send(request: unknown): void {
    this.socket.send(new Uint8Array(pack(request)));
  }

  async next(): Promise<Message> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  ask(request: unknown): Promise<Message> {
    this.send(request);
    return this.next();
  }

  /** @returns the close code, once the connection has ended. */
  async closed(): Promise<number> {
    const [event] = (await once(this.socket, "close")) as [CloseEvent];
    return event.code;
  }
}
