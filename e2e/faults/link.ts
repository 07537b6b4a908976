import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Random } from "../src/random.ts";
import { Dice } from "./dice.ts";
import { breakOff, Pipe, type Passing } from "./pipe.ts";
import { strikesAnswers, type Direction, type Fault, type Point } from "./plan.ts";
import { PHASES, StreamPhases } from "./stream-phases.ts";

const STREAM_MAGIC = 0x5145564d;

/**
 * A handshake, and the first record of TLS or the first message of a WebSocket, which has the program: up to there a
 * destination takes what comes for nobody that it waits for.
 */
const UNKNOWN_BYTES = 64 * 1024;

/** A slow link becomes a fast one again, for a run to end. Milliseconds. */
const SLOW_MS = 1500;

/** Where the link leads to. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string };

export interface LinkOptions {
  readonly target: Target;
  /** What goes through is no stream that could be followed. */
  readonly wrapped: boolean;
  readonly point: Point;
  readonly fault: Fault;
  /** For the sizes of pieces. */
  readonly seed: number;
  /** Called once, when the fault strikes: what is to be done to the agents is done there. */
  readonly struck: (where: string) => void;
}

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  readonly forward: Pipe;
  readonly back: Pipe;
  /** Undefined before its first byte. */
  kind: "main" | "channel" | undefined;
  bytes: number;
}

/** What is between the source and the destination: passes everything on, and breaks as planned. */
export class FaultyLink {
  /** Where the source is to connect to, on this host. */
  readonly port: number;
  /** Whether the fault has struck. */
  struck = false;
  /** Whether the destination had been passed the whole stream by then. */
  wholeWhenStruck = false;
  readonly phases = new StreamPhases();
  readonly #options: LinkOptions;
  readonly #server: Server;
  readonly #connections: Connection[] = [];
  /** All that have connected, whatever became of them. */
  readonly #accepted: Socket[] = [];
  /** Bytes that were passed on: of the stream, of the answers, and of those behind the whole stream. */
  #sent = 0;
  #returned = 0;
  #answered = 0;
  /** Those of each direction that had been passed on when the guest had stopped. */
  #atStop: Readonly<Record<Direction, number>> | undefined;
  /** Of the stream, before the fault struck. */
  #sentSound = 0;

  static async open(options: LinkOptions): Promise<FaultyLink> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new FaultyLink(server, options);
  }

  private constructor(server: Server, options: LinkOptions) {
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#accept(near));
  }

  /** Whether anything of the stream has been passed on: the destination can know of the source. */
  get reached(): boolean {
    const { wrapped, fault } = this.#options;
    if (!wrapped) return this.#sent > 0;
    // What follows a changed byte is of no use.
    const sound = this.struck && fault.kind === "corrupt" ? this.#sentSound : this.#sent;
    return sound > UNKNOWN_BYTES;
  }

  /** The guest stands still for the switchover, which has not begun. */
  stopped(): void {
    this.#atStop ??= { forward: this.#sent, return: this.#returned };
  }

  /** What was held back passes after all, and so does what follows. */
  heal(): void {
    for (const { forward, back } of this.#connections) {
      for (const pipe of [forward, back]) {
        if (pipe.passing.kind === "nothing") pipe.passing = { kind: "all" };
      }
    }
  }

  close(): void {
    this.#server.close();
    for (const near of this.#accepted) near.destroy();
    for (const { far } of this.#connections) far.destroy();
  }

  #accept(near: Socket): void {
    const { point, fault } = this.#options;
    this.#accepted.push(near);
    near.on("error", () => undefined);
    const connecting = point.in === "phase" && point.phase === "connecting";
    if (connecting && !this.struck) this.#strike(undefined);
    if (connecting && fault.kind === "cut") {
      if (fault.how === "reset") breakOff(near);
      else near.end();
      return;
    }
    const far = connect({ ...this.#options.target, allowHalfOpen: true, noDelay: true });
    // Nobody is there: the source sees what it would see of a host whose port has been closed.
    far.on("error", () => {
      if (far.connecting || far.bytesRead === 0) breakOff(near);
    });
    near.on("close", () => far.destroySoon());
    far.on("close", () => near.destroySoon());
    this.#join(near, far, connecting);
  }

  #join(near: Socket, far: Socket, connecting: boolean): void {
    const { fault } = this.#options;
    const strike = (): void => this.#strike(connection);
    const connection: Connection = {
      near,
      far,
      kind: undefined,
      bytes: 0,
      forward: new Pipe(near, far, {
        read: (bytes) => this.#read(connection, bytes),
        room: (bytes) => this.#room(this.#forwardRoom(connection), bytes),
        passed: (bytes) => this.#forwardPassed(connection, bytes),
        strike,
      }),
      back: new Pipe(far, near, {
        read: () => undefined,
        room: (bytes) => this.#room(this.#backRoom(connection), bytes),
        passed: (bytes) => this.#backPassed(connection, bytes),
        strike,
      }),
    };
    this.#connections.push(connection);
    if (connecting) this.#apply(connection, fault, "forward");
    near.resume();
    far.resume();
  }

  #read(connection: Connection, bytes: Uint8Array): void {
    const { wrapped } = this.#options;
    connection.kind ??= wrapped || isStream(bytes) ? "main" : "channel";
    if (connection.kind === "main" && !wrapped) this.phases.push(bytes);
  }

  #room(room: number | undefined, bytes: number): number | undefined {
    if (this.struck || room === undefined || room >= bytes) return undefined;
    return Math.max(0, room);
  }

  /** Bytes up to where the fault strikes, if that is known. */
  #forwardRoom(connection: Connection): number | undefined {
    const { point } = this.#options;
    if (point.in === "channel") {
      return connection.kind === "channel" ? point.offset - connection.bytes : undefined;
    }
    if (point.in === "wrapped") return point.offset - this.#sent;
    if (point.in === "stopped") return this.#roomBehindStop("forward", this.#sent);
    const at = connection.kind === "main" ? pointOf(point, this.phases) : undefined;
    return at === undefined ? undefined : at - this.#sent;
  }

  #roomBehindStop(direction: Direction, passed: number): number | undefined {
    const { point } = this.#options;
    if (point.in !== "stopped" || point.direction !== direction || this.#atStop === undefined)
      return undefined;
    return this.#atStop[direction] + point.offset - passed;
  }

  #forwardPassed(connection: Connection, bytes: number): void {
    connection.bytes += bytes;
    if (connection.kind !== "main") return;
    this.#sent += bytes;
    const { point } = this.#options;
    const atEnd = point.in === "phase" && point.phase === "after-end" && point.offset === 0;
    // Nothing may come behind it that would show the place.
    if (atEnd && this.#allSent) this.#strike(connection);
  }

  #backRoom(connection: Connection): number | undefined {
    const { point } = this.#options;
    if (connection.kind === "channel") return undefined;
    if (point.in === "return") return point.offset - this.#returned;
    if (point.in === "stopped") return this.#roomBehindStop("return", this.#returned);
    return point.in === "answer" && this.#allSent ? point.offset - this.#answered : undefined;
  }

  #backPassed(connection: Connection, bytes: number): void {
    if (connection.kind === "channel") return;
    this.#returned += bytes;
    if (this.#allSent) this.#answered += bytes;
  }

  /** Whether the stream has been passed on up to the end of the vmdescription. */
  get #allSent(): boolean {
    return this.phases.end !== undefined && this.#sent >= this.phases.end;
  }

  /** What the stream is at, in words. */
  get #phase(): string {
    if (!this.#options.wrapped) return this.phases.phaseAt(this.#sent);
    return this.#atStop === undefined ? "a wrapped stream" : "a wrapped stream, stopped";
  }

  #strike(connection: Connection | undefined): void {
    if (this.struck) return;
    this.struck = true;
    this.#sentSound = this.#sent;
    const { point, fault, struck } = this.#options;
    this.wholeWhenStruck = this.#allSent || this.#atStop !== undefined;
    const where =
      `in ${this.#phase}, after ${this.#sent} bytes of the stream and ${this.#returned} of the answers` +
      (point.in === "channel" ? `, ${connection?.bytes ?? 0} of a channel` : "");
    if (connection !== undefined)
      this.#apply(connection, fault, strikesAnswers(point) ? "return" : "forward");
    struck(where);
  }

  #apply(connection: Connection, fault: Fault, direction: Direction): void {
    const { near, far, forward, back } = connection;
    const pipe = direction === "forward" ? forward : back;
    switch (fault.kind) {
      case "cut":
        forward.passing = { kind: "dropped" };
        back.passing = { kind: "dropped" };
        for (const socket of [near, far]) {
          if (fault.how === "reset") breakOff(socket);
          else socket.destroySoon();
        }
        return;
      case "half-close":
        (fault.direction === "forward" ? forward : back).close();
        return;
      case "stall":
        if (fault.direction !== "return") forward.passing = { kind: "nothing" };
        if (fault.direction !== "forward") back.passing = { kind: "nothing" };
        if (fault.ms !== undefined) setTimeout(() => this.heal(), fault.ms);
        return;
      case "slow":
        this.#slow(connection, fault.bytesPerSecond);
        return;
      case "split":
        for (const each of [forward, back]) each.passing = this.#split(fault.bytes);
        return;
      case "corrupt":
        pipe.mask = fault.mask;
        return;
      default:
    }
  }

  #slow({ forward, back }: Connection, bytesPerSecond: number): void {
    for (const pipe of [forward, back]) pipe.passing = { kind: "slow", bytesPerSecond };
    setTimeout(() => {
      for (const pipe of [forward, back]) pipe.passing = { kind: "all" };
    }, SLOW_MS);
  }

  #split(bytes: number): Passing {
    const dice = new Dice(new Random(this.#options.seed));
    return { kind: "split", left: bytes, size: () => dice.whole(1, 3000) };
  }
}

/** Stream offset of the byte before which the fault strikes, if that is known. */
function pointOf(point: Point, phases: StreamPhases): number | undefined {
  if (point.in === "tail") {
    const begin = phases.starts.get("device-state");
    return phases.end === undefined || begin === undefined
      ? undefined
      : Math.max(begin, phases.end - point.before);
  }
  if (point.in !== "phase") return undefined;
  const start = phases.starts.get(point.phase);
  const later = PHASES.slice(PHASES.indexOf(point.phase) + 1).flatMap(
    (phase) => phases.starts.get(phase) ?? [],
  );
  const known = start === undefined ? later : [start + point.offset, ...later];
  return known.length === 0 ? undefined : Math.min(...known);
}

function isStream(bytes: Uint8Array): boolean {
  return bytes.length < 4 || Buffer.from(bytes).readUInt32BE(0) === STREAM_MAGIC;
}
