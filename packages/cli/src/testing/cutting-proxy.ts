import { createConnection, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Bytes of a message in the hand-over of a guest, by which the proxy knows it. */
export const MESSAGE = {
  /** LOADED, from the destination. */
  loaded: { from: "destination", bytes: Buffer.from("50450010", "hex") },
  /** HAND_OVER GIVE, from the source. */
  give: { from: "source", bytes: Buffer.from("085045001102", "hex") },
  /** SHUT 0, from the destination. */
  taken: { from: "destination", bytes: Buffer.from("0001000400000000", "hex") },
} as const;

/** Passes a connection on, and breaks it instead of passing one message on. */
export class CuttingProxy implements Disposable {
  readonly #server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
  }

  /** @param port of the destination on 127.0.0.1. @param lost what is not passed on; a message is not cut in two. */
  static async listen(port: number, lost: keyof typeof MESSAGE): Promise<CuttingProxy> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new CuttingProxy(server);
    server.on("connection", (source) => {
      const destination = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
      const cut = (): void => {
        source.resetAndDestroy();
        destination.resetAndDestroy();
      };
      const pass = (from: Socket, to: Socket, isWatched: boolean): void => {
        proxy.#sockets.add(from);
        from.on("error", cut);
        from.on("data", (bytes) => {
          const at = isWatched ? bytes.indexOf(MESSAGE[lost].bytes) : -1;
          if (at < 0) to.write(bytes);
          else if (at === 0) cut();
          else to.write(bytes.subarray(0, at), cut);
        });
        from.on("end", () => to.end());
      };
      pass(source, destination, MESSAGE[lost].from === "source");
      pass(destination, source, MESSAGE[lost].from === "destination");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get uri(): string {
    return `tcp:127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
