import { ALL_EXTENSIONS, askFor, ByteWriter, encodeCommand } from "@peregrine/protocol";
import type { Command, Extensions, HandOverStep, ReturnMessage } from "@peregrine/protocol";
import type { OwnershipLedger, OwnershipRecord } from "@peregrine/shared-state";
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { listening } from "./arrival.ts";
import type { Arrival, Preparation } from "./arrival.ts";
import { stoppedSource } from "./machines.ts";
import type { Sender } from "./sender.ts";
import { TestStream } from "./stream-maker.ts";

export const MIGRATION = "00112233445566778899aabbccddeeff";
export const PLAIN = await TestStream.of((await stoppedSource()).machine);

export function bytesOf(...commands: readonly Command[]): Uint8Array {
  const writer = new ByteWriter();
  for (const command of commands) encodeCommand(writer, command);
  return writer.view().slice();
}

export const step = (name: HandOverStep, migration = MIGRATION): Command => ({
  kind: "hand-over",
  step: name,
  migration,
});

/** A stream whose source asks for extensions, and offers its guest. */
export function offering(extensions: Extensions = ALL_EXTENSIONS, ...more: readonly Command[]): Uint8Array {
  const at = PLAIN.offsetOf("ram-start");
  const asks = bytesOf({ kind: "ping", value: askFor(extensions) }, step("offer"), ...more);
  return Buffer.concat([PLAIN.bytes.subarray(0, at), asks, PLAIN.bytes.subarray(at)]);
}

/** Resolves when an answer of this kind has come. */
export async function heard(sender: Sender, kind: ReturnMessage["kind"], count = 1): Promise<void> {
  while (sender.messages.filter((message) => message.kind === kind).length < count)
    await sender.received(sender.messages.length + 1);
}

/** What is known of the guest on the disk. */
export class Ledger implements OwnershipLedger {
  readonly records: OwnershipRecord[] = [];
  /** Resolves when it is to be recorded what was decided. */
  readonly asked: Promise<void>;
  broken = false;
  readonly #asked = Promise.withResolvers<void>();
  #ready: Promise<void> | undefined;

  constructor() {
    this.asked = this.#asked.promise;
  }

  /** What was decided. */
  get decisions(): readonly OwnershipRecord[] {
    return this.records.filter(({ ownership }) => ownership !== "receiving");
  }

  /** Nothing is recorded from now on. @returns what ends that. */
  stall(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ready = promise;
    return resolve;
  }

  async write(record: OwnershipRecord): Promise<void> {
    if (record.ownership !== "receiving") this.#asked.resolve();
    await this.#ready;
    if (this.broken) throw new Error("the disk is full");
    this.records.push(record);
  }
}

export interface Offered extends Arrival {
  readonly sender: Sender;
  readonly ledger: Ledger;
  readonly doubt: Promise<void>;
  /** Has the incoming thread die. Resolves when this side knows. */
  readonly killThread: () => Promise<void>;
}

/** @returns what has the thread die that is started next. */
export async function nextThread(): Promise<() => Promise<void>> {
  const [thread] = (await once(process, "worker")) as [Worker];
  return async () => void (await thread.terminate());
}

/** Everything is loaded, and the source was told so. */
export async function offered(options: Preparation = {}): Promise<Offered> {
  const ledger = new Ledger();
  const doubt = Promise.withResolvers<void>();
  const started = nextThread();
  const arrival = await listening({ ledger, undecided: () => doubt.resolve(), ...options });
  const killThread = await started;
  const sender = await arrival.connect();
  await sender.channel.write(offering());
  const alive = setInterval(() => void sender.channel.write(bytesOf({ kind: "alive" })), 20);
  await heard(sender, "loaded");
  clearInterval(alive);
  return { ...arrival, sender, ledger, doubt: doubt.promise, killThread };
}
