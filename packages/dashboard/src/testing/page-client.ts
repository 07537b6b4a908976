import { encodeMessage } from "@peregrine/monitor/web";
import { once } from "node:events";
import { Unpackr } from "msgpackr/unpack";
import { WebSocket } from "ws";
import type { FromPage, ToPage } from "../messages.ts";

const unpackr = new Unpackr({ useRecords: false });

/** What a page is to its server. */
export class PageClient {
  readonly socket: WebSocket;
  readonly received: ToPage[] = [];
  readonly closed: Promise<number>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => this.received.push(unpackr.unpack(data) as ToPage));
    // A handshake that is refused is told by `connect`.
    this.closed = new Promise((resolve) => {
      socket.once("close", resolve);
    });
  }

  static async connect(url: string, headers: Record<string, string> = {}): Promise<PageClient> {
    const socket = new WebSocket(new URL("socket", url.replace("http", "ws")), {
      headers: { Origin: new URL(url).origin, ...headers },
      perMessageDeflate: false,
    });
    const client = new PageClient(socket);
    await once(socket, "open");
    return client;
  }

  send(message: FromPage | Record<string, unknown>): void {
    this.socket.send(encodeMessage(message));
  }

  /** Waits for a message of a kind that fits. */
  async next<K extends ToPage["kind"]>(
    kind: K,
    fits: (message: Extract<ToPage, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<ToPage, { kind: K }>> {
    const deadline = AbortSignal.timeout(10_000);
    for (;;) {
      const found = this.received.find(
        (message): message is Extract<ToPage, { kind: K }> =>
          message.kind === kind && fits(message as Extract<ToPage, { kind: K }>),
      );
      if (found !== undefined) {
        this.received.splice(this.received.indexOf(found), 1);
        return found;
      }
      await once(this.socket, "message", { signal: deadline });
    }
  }
}
