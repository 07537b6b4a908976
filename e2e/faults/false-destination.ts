import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { LIES, pong, shut, type Lie, type LieName } from "./lies.ts";
import type { Dice } from "./dice.ts";
import { type Phase, StreamPhases } from "./stream-phases.ts";

export interface FalseDestinationOptions {
  readonly lie: LieName;
  readonly phase: Phase;
  readonly dice: Dice;
  /** Called once, when the lie is told. */
  readonly struck: (where: string) => void;
}

/** A recorded stream. */
export interface Recording {
  readonly bytes: Buffer;
  readonly phases: StreamPhases;
}

/** A peer that answers as a destination does, and lies at one point. */
export class FalseDestination {
  readonly uri: string;
  /** Resolves with what the source has sent when it is whole, or the connection has ended. */
  readonly recorded: Promise<Recording>;
  readonly #server: Server;
  readonly #options: FalseDestinationOptions | undefined;
  readonly #chunks: Buffer[] = [];
  readonly #phases = new StreamPhases((value) => this.#say(pong(value)));
  readonly #end = Promise.withResolvers<Recording>();
  #socket: Socket | undefined;
  #mode: "honest" | "silent" = "honest";
  #told = false;
  #refused = false;

  /** Without options it only records, and refuses at the end. */
  static async open(options?: FalseDestinationOptions): Promise<FalseDestination> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new FalseDestination(server, options);
  }

  private constructor(server: Server, options: FalseDestinationOptions | undefined) {
    this.#server = server;
    this.#options = options;
    this.recorded = this.#end.promise;
    this.uri = `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket) => this.#accept(socket));
  }

  close(): void {
    this.#server.close();
    this.#socket?.destroy();
  }

  #accept(socket: Socket): void {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#phases.push(chunk);
      this.#lieInTime();
      if (this.#phases.complete) this.#refuse();
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => this.#recordedAll());
  }

  #lieInTime(): void {
    const { lie: name, phase, dice, struck } = this.#options ?? {};
    if (this.#told || name === undefined || !this.#phases.starts.has(phaseOf(LIES[name], phase!))) return;
    this.#told = true;
    const lie: Lie = LIES[name];
    struck!(`'${name}', in ${this.#phases.phaseAt(this.#phases.offset)}`);
    this.#say(lie.say(dice!));
    if (lie.ending === "silence") this.#mode = "silent";
    if (lie.ending === "end") this.#socket?.end();
    if (lie.ending === "reset") this.#socket?.resetAndDestroy();
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#say(shut(1));
    this.#recordedAll();
  }

  #recordedAll(): void {
    this.#end.resolve({ bytes: Buffer.concat(this.#chunks), phases: this.#phases });
  }

  #say(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (this.#mode === "honest" && socket !== undefined && socket.writable) socket.write(bytes);
  }
}

function phaseOf({ phases }: Lie, wanted: Phase): Phase {
  return phases === undefined || phases.includes(wanted) ? wanted : phases.at(-1)!;
}
