import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { LIES, pong, shut, switchoverAck, type Lie, type LieName } from "./lies.ts";
import type { Dice } from "./dice.ts";
import { type Phase, type SeenCommand, StreamPhases } from "./stream-phases.ts";

const PING = 2;
const HAND_OVER = 0x5045;
const OFFER = 1;
/** The value of the ping that a destination answers when it is ready. */
const PREPARE = 2;
/** High halves of the ping that asks for more than QEMU's protocol, and of the pong that agrees. */
const ASK = 0x5045;
const AGREE = 0x5052;

export interface FalseDestinationOptions {
  readonly lie: LieName;
  readonly phase: Phase;
  readonly dice: Dice;
  /** Whether it agrees to an explicit hand-over, where the lie leaves that open. */
  readonly agrees: boolean;
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
  readonly #phases = new StreamPhases((command) => this.#answer(command));
  readonly #agrees: boolean;
  #migration: Uint8Array = new Uint8Array(16);
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
    const lie: Lie | undefined = options && LIES[options.lie];
    this.#agrees = lie?.agrees ?? options?.agrees ?? true;
    this.recorded = this.#end.promise;
    this.uri = `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** It has not agreed to anything but QEMU's protocol, and does not say any more after its lie. */
  get isPlainAndSilent(): boolean {
    return !this.#agrees && this.#options !== undefined && endingOf(this.#options.lie) === "silence";
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

  #answer({ code, payload }: SeenCommand): void {
    if (code === HAND_OVER && payload[0] === OFFER) this.#migration = Uint8Array.from(payload.subarray(1));
    if (code !== PING) return;
    const value = payload.readUInt32BE(0);
    if (value === PREPARE) this.#say(switchoverAck());
    this.#say(pong(this.#agrees && value >>> 16 === ASK ? AGREE * 0x1_0000 + (value & 0xffff) : value));
  }

  #lieInTime(): void {
    if (this.#told || this.#options === undefined) return;
    const { lie: name, phase, dice, struck } = this.#options;
    const lie: Lie = LIES[name];
    if (!this.#phases.starts.has(phaseOf(lie, phase))) return;
    this.#told = true;
    struck(`'${name}', in ${this.#phases.phaseAt(this.#phases.offset)}`);
    this.#say(lie.say({ dice, migration: this.#migration }));
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

function endingOf(name: LieName): Lie["ending"] {
  const lie: Lie = LIES[name];
  return lie.ending;
}

function phaseOf({ phases }: Lie, wanted: Phase): Phase {
  const possible = phases ?? ["setup", "first-pass", "switchover", "device-state"];
  return possible.includes(wanted) ? wanted : possible.at(-1)!;
}
