import {
  MigrationCapabilities,
  MigrationParameters,
  MigrationStatistics,
  PAGE_SIZE,
  PageMap,
  PassLog,
} from "@peregrine/shared-state";
import { openRam, TestMachine } from "@peregrine/shared-state/testing";
import type { RamAccess } from "@peregrine/shared-state";
import type { TestRam } from "@peregrine/shared-state/testing";
import { connect } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { expect } from "vitest";
import { multifdSyncMode } from "../multifd-sync-mode.ts";
import { openPageSender } from "../open-page-sender.ts";
import { OutgoingStream } from "../outgoing-stream.ts";
import type { PageSender } from "../page-sender.ts";
import { RamSender } from "../ram-sender.ts";
import { SectionWriter } from "../section-writer.ts";
import { MultifdReceiver } from "./multifd-receiver.ts";
import type { MultifdReceiverOptions } from "./multifd-receiver.ts";

export interface MultifdLinkOptions {
  readonly machineType: string;
  /** Default: 2. */
  readonly channels?: number;
  readonly compression?: "none" | "zlib" | "zstd";
  /** Bytes per second; default: none. */
  readonly limit?: number;
  /** Pages of the two blocks; half of the first is in use. Default: 300 and 40. */
  readonly pages?: readonly [number, number];
  readonly uuid?: Uint8Array;
  /** What the threads of the channels open the memory with. Default: as the machine has it. */
  readonly access?: (access: RamAccess) => RamAccess;
  readonly mayRead?: MultifdReceiverOptions["mayRead"];
  /** Whether connections can be made beside the main one. Default: true. */
  readonly channelsRefused?: boolean;
}

/** A guest's memory, and what sends it over real connections to a receiver. */
export class MultifdLink implements AsyncDisposable {
  readonly ram: TestRam;
  readonly receiver: MultifdReceiver;
  readonly statistics = new MigrationStatistics();
  readonly abort = new AbortController();
  readonly #options: MultifdLinkOptions;
  readonly #access: RamAccess;
  #main: Channel | undefined;
  /** Milliseconds. */
  #now = 0;
  #stream: OutgoingStream | undefined;
  #pages: PageSender | undefined;

  private constructor(access: RamAccess, receiver: MultifdReceiver, options: MultifdLinkOptions) {
    this.ram = openRam(access.data);
    this.#access = options.access?.(access) ?? access;
    this.receiver = receiver;
    this.#options = options;
  }

  static async make(options: MultifdLinkOptions): Promise<{ link: MultifdLink; sender: RamSender }> {
    const { channels = 2, machineType, pages = [300, 40], mayRead } = options;
    const machine = TestMachine.source({
      blocks: [
        { name: "a", pages: pages[0], used: Math.ceil(pages[0] / 2) },
        { name: "b", pages: pages[1], used: pages[1] },
      ],
    });
    await machine.startDirtyLog();
    const mode = multifdSyncMode(machineType);
    const receiver = await MultifdReceiver.listen({ channels, mode, ...(mayRead && { mayRead }) });
    const link = new MultifdLink(machine.ram(), receiver, options);
    try {
      return { link, sender: await link.#open() };
    } catch (error) {
      await link[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Bytes written on the main connection. */
  get mainBytes(): number {
    return this.#main!.bytesWritten;
  }

  /** Bytes of pages that were copied out of the guest and are not with the kernel yet. */
  get heldBytes(): number {
    return this.statistics.normalBytes - this.statistics.multifdBytes;
  }

  /** Lets time go by. */
  pass(ms: number): void {
    this.#now += ms;
    this.#stream!.resetPeriod();
  }

  /** Closes the sender. Resolves when its threads are gone, too. */
  async close(): Promise<void> {
    await this.#pages!.close();
  }

  /** The receiver comes to the end of the memory, and the sender is closed. */
  async finish(): Promise<void> {
    await this.#stream!.flush();
    await this.receiver.complete;
    await this.close();
  }

  /** Checks that the receiver's memory is the guest's. */
  expectSame(): void {
    for (const [block, bytes] of this.receiver.ram.entries()) {
      const original = new Uint8Array(bytes.length);
      this.ram.readPages(block, 0, bytes.length / PAGE_SIZE, original, 0);
      expect(Buffer.compare(bytes, original), `block ${block}`).toBe(0);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort.abort();
    await this.#pages?.close();
    this.#main?.destroy();
    await this.receiver[Symbol.asyncDispose]();
  }

  async #open(): Promise<RamSender> {
    const { ram, statistics } = this;
    const { machineType, channels = 2, compression = "none", limit = 0, uuid } = this.#options;
    const now = (): number => this.#now;
    const parameters = new MigrationParameters();
    parameters.set({
      "multifd-channels": channels,
      "multifd-compression": compression,
      "max-bandwidth": limit,
    });
    const capabilities = new MigrationCapabilities();
    capabilities.set([{ capability: "multifd", state: true }], "none");
    const channel = await connect(this.receiver.uri);
    this.#main = channel;
    if (this.#options.channelsRefused === true) await this.receiver.stopListening();
    const stream = new OutgoingStream(channel, parameters, statistics, now);
    const writer = new SectionWriter(stream, true);
    const configuration = { machineType };
    await writer.header(configuration);
    const map = new PageMap(ram.blocks);
    const pages = await openPageSender({
      ram,
      map,
      stream,
      channel,
      opening: { configuration, footers: true, early: [], uuid },
      capabilities: capabilities.states,
      parameters,
      statistics,
      ramAccess: this.#access,
      uri: this.receiver.uri,
      connectTimeout: 5000,
      keepalive: 5000,
      signal: this.abort.signal,
      now,
    });
    this.#stream = stream;
    this.#pages = pages;
    const ignore = (): void => {};
    const options = { ram, map, pages, stream, writer, statistics, passes: new PassLog(), now };
    return new RamSender({ ...options, onPass: ignore, onDirtyPeriod: ignore });
  }
}
