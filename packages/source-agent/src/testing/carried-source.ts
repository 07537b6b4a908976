import { ByteWriter, encodeReturnMessage, MigrationError } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import { RunControl } from "@peregrine/shared-state";
import type { MigrationStatus } from "@peregrine/shared-state";
import { formatUri, listen } from "@peregrine/transport";
import type { Channel, Listener } from "@peregrine/transport";
import { OutgoingMigration } from "../outgoing-migration.ts";
import type { PassedOn } from "../outgoing-options.ts";
import { CarriedTestMachine } from "./carried-machine.ts";
import type { CarriedParts } from "./carried-machine.ts";
import { CarriedReader } from "./carried-reader.ts";

/** Of a guest whose source takes part in no hand-over. */
const PASSED_ON: PassedOn = {
  asked: true,
  agreed: () => {},
  offered: async () => undefined,
  loaded: async () => "lost",
};

/** A carried machine that passes through, with its outgoing migration. */
export class CarriedSource implements AsyncDisposable {
  readonly machine: CarriedTestMachine;
  readonly run: RunControl;
  readonly migration: OutgoingMigration;

  constructor(parts: CarriedParts) {
    this.machine = new CarriedTestMachine(parts);
    this.run = new RunControl(this.machine, { initial: "inmigrate" });
    this.migration = new OutgoingMigration({
      machine: this.machine,
      run: this.run,
      passedOn: PASSED_ON,
    });
    this.migration.setSpeed(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.migration.dispose();
  }

  /** Resolves with what the migration has come to. */
  ended(): Promise<MigrationStatus> {
    return new Promise((resolve) => {
      const unsubscribe = this.migration.subscribe((event) => {
        if (event.kind !== "migration") return;
        if (!["completed", "failed", "cancelled"].includes(event.status)) return;
        unsubscribe();
        resolve(event.status);
      });
    });
  }
}

export interface CarriedReceiverBehaviour {
  /** Of the stream that will come. */
  readonly footers: boolean;
  /** Whether a vmdescription ends it. Default: true. */
  readonly described?: boolean;
  /** Drops the connection after this many bytes. */
  readonly dropAt?: number;
  /** Called after each chunk. */
  readonly onChunk?: (receiver: CarriedReceiver) => void;
}

/** A destination for one connection that keeps every byte. It answers what it is asked. */
export class CarriedReceiver implements AsyncDisposable {
  readonly uri: string;
  readonly reader: CarriedReader;
  /** Resolves when the connection is over: what came, undefined if it was dropped. */
  readonly parts: Promise<CarriedParts | undefined>;
  readonly #listener: Listener;
  readonly #behaviour: CarriedReceiverBehaviour;
  readonly #chunks: Uint8Array[] = [];
  #channel: Channel | undefined;
  #received = 0;

  private constructor(listener: Listener, behaviour: CarriedReceiverBehaviour) {
    this.#listener = listener;
    this.#behaviour = behaviour;
    this.uri = formatUri(listener.address);
    this.reader = new CarriedReader(behaviour.footers, (command) => {
      if (command.kind === "ping") void this.#answer({ kind: "pong", value: command.value });
    });
    this.parts = this.#serve();
    this.parts.catch(() => {});
  }

  static async listen(behaviour: CarriedReceiverBehaviour): Promise<CarriedReceiver> {
    return new CarriedReceiver(await listen("tcp:127.0.0.1:0"), behaviour);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel?.destroy();
    await this.#listener.close();
    await this.parts.catch(() => {});
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async #serve(): Promise<CarriedParts | undefined> {
    const channel = await this.#listener.accept();
    this.#channel = channel;
    let confirmed = false;
    for await (const chunk of channel.read()) {
      this.#chunks.push(chunk.slice());
      this.#received += chunk.length;
      this.reader.push(chunk);
      this.#behaviour.onChunk?.(this);
      if (this.#received >= (this.#behaviour.dropAt ?? Infinity)) {
        channel.destroy(new MigrationError("CANCELLED", "dropped"));
        return undefined;
      }
      if (!confirmed && this.#isComplete) {
        confirmed = true;
        await this.#answer({ kind: "shut", status: 0 });
      }
    }
    return this.reader.end();
  }

  /** Only where the return path is open there is somebody to tell. */
  get #isComplete(): boolean {
    const { commands, ended, described } = this.reader;
    const all = ended && (described || this.#behaviour.described === false);
    return all && commands.some(({ kind }) => kind === "open-return-path");
  }

  async #answer(message: ReturnMessage): Promise<void> {
    const writer = new ByteWriter();
    encodeReturnMessage(writer, message);
    await this.#channel?.write(writer.view());
  }
}
