/** The entry of the incoming thread: it owns the listening socket and the channels, and loads one stream. */
import { prepareMemoryAdvice } from "@peregrine/host-memory";
import { MigrationError, openPageKernel, preparePageKernels, workMemoryBytes } from "@peregrine/protocol";
import type { BuildRam } from "@peregrine/shared-state";
import { listen, prepareConnections } from "@peregrine/transport";
import type { Address, Channel } from "@peregrine/transport";
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { CarriedLoader } from "./carried-loader.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { Connections } from "./connections.ts";
import type { Connection } from "./connections.ts";
import { DescribedLoader } from "./described-loader.ts";
import { EXPECTED_PARTS, ExpectedPages } from "./expected-pages.ts";
import type { IncomingTask } from "./incoming-messages.ts";
import { IncomingStatistics } from "./incoming-statistics.ts";
import { Interruption } from "./interruption.ts";
import { loadStream } from "./load-stream.ts";
import type { StreamOutcome } from "./load-stream.ts";
import type { MachineLoader } from "./machine-loader.ts";
import { MainLink } from "./main-link.ts";
import { MultifdReceiver } from "./multifd-receiver.ts";
import { READ_BYTES } from "./read-bytes.ts";
import { ReturnPath } from "./return-path.ts";
import type { Answers } from "./return-path.ts";
import { multifdIsOff } from "./stream-loader.ts";

/** Milliseconds that the source has for reading the last message and closing its end. */
const LINGER_AFTER_LOAD = 5000;
const LINGER_AFTER_FAILURE = 1000;

const task = workerData as IncomingTask;
const { limits, multifdChannels } = task;
const switchoverAck = new Int32Array(task.switchoverAck);
const interruption = new Interruption();
const statistics = new IncomingStatistics(task.statistics);
if (parentPort === null)
  throw new MigrationError("INTERNAL", "incoming-thread.ts was not started as a thread");
const main = new MainLink(parentPort, interruption);
const multifd =
  multifdChannels === 0
    ? undefined
    : new MultifdReceiver({ channels: multifdChannels, statistics, interruption });
/** More connections than these are strangers; they read elsewhere. */
let readBuffersLeft = 8 + multifdChannels;
const kernel = openPageKernel(
  workMemoryBytes([
    ...Array.from({ length: readBuffersLeft }, () => READ_BYTES),
    ...Object.values(EXPECTED_PARTS),
  ]),
);

try {
  await serve();
} catch (error) {
  main.tell({ kind: "failed", error: MigrationError.from(error).serialize() });
} finally {
  await multifd?.close();
  main.close();
}

async function serve(): Promise<void> {
  const listener = await listen(task.uri, {
    ...task.channelOptions,
    tls: task.tls,
    refused,
    readBuffer,
  });
  const connections = new Connections({ listener, interruption, multifd: takeMultifd, refused });
  try {
    main.tell({ kind: "listening", address: listener.address });
    await loadAhead();
    // What was compiled is kept for the next start, also if this process does not end in order.
    flushCompileCache();
    const connection = await interruption.wait(connections.main);
    await receive(connection, connections, listener.address);
  } finally {
    await connections.close();
  }
}

/** Loads what the stream needs, so that its first pages are not kept waiting. What cannot be had shows when it is needed. */
async function loadAhead(): Promise<void> {
  preparePageKernels();
  const { machine } = task;
  const module = machine.kind === "described" ? machine.ramModule : machine.memory.module;
  const loading = module === undefined ? undefined : import(module);
  await Promise.allSettled([prepareMemoryAdvice(), prepareConnections(), loading]);
}

function refused(error: MigrationError): void {
  main.tell({ kind: "refused", error: error.serialize() });
}

/** Connections read into the kernel's work memory, where runs of records can be decoded at once. */
function readBuffer(): Uint8Array {
  if (readBuffersLeft === 0) return new Uint8Array(READ_BYTES);
  readBuffersLeft--;
  const at = kernel.take(READ_BYTES);
  return kernel.bytes.subarray(at, at + READ_BYTES);
}

function takeMultifd(connection: Connection, fromSource: boolean): void {
  if (multifd !== undefined) {
    multifd.add(connection, fromSource);
    return;
  }
  connection.channel.destroy();
  if (fromSource) interruption.interrupt(multifdIsOff());
}

async function receive(connection: Connection, connections: Connections, address: Address): Promise<void> {
  const { channel } = connection;
  main.tell({ kind: "connected", peer: channel.peer });
  const returnPath = new ReturnPath(answersTo(channel), interruption, task.extensions, agreesLater());
  const chunks = new ChunkReader(connection.chunks, channel);
  let machine: MachineLoader | undefined;
  let closing: Promise<void> | undefined;
  let outcome: StreamOutcome;
  try {
    machine = await machineLoader();
    outcome = await loadStream({
      machine,
      limits,
      statistics,
      target: main,
      returnPath,
      interruption,
      switchoverAck: () => Atomics.load(switchoverAck, 0) !== 0,
      multifd,
      kernel,
      expected: await expectedPages(channel),
      calledOff: () => main.calledOff,
      silence: task.silence,
      fileOffset: address.kind === "file" ? address.offset : undefined,
      chunks,
      broken: channel.closed.then(() => channel.error),
      failure: () => channel.error,
      identified: async () => {
        await connections.identified();
        // Nobody else is expected any more. The address is free by the time that the guest has arrived.
        closing = connections.close();
        await channel.succeeded?.();
      },
    });
  } catch (error) {
    await refuse(channel, returnPath, chunks, MigrationError.from(error));
    await machine?.close?.();
    throw error;
  } finally {
    returnPath.close();
  }
  if (outcome.kind === "undecided") {
    channel.destroy();
    main.tell({ kind: "undecided", error: outcome.error.serialize() });
    return;
  }
  // The guest stands still until the main thread knows.
  main.tell({ kind: "loaded" });
  await closing;
  await main.released;
  await closeInOrder(channel, chunks, LINGER_AFTER_LOAD);
}

/** Pages that come on other channels could be in the place of those that are expected. */
async function expectedPages(channel: Channel): Promise<ExpectedPages | undefined> {
  const scattering = multifd === undefined ? await channel.scattering?.() : undefined;
  return scattering === undefined ? undefined : new ExpectedPages(kernel, scattering);
}

function agreesLater(): Promise<boolean> | undefined {
  return task.agreesLater ? main.handOver : undefined;
}

function answersTo(channel: Channel): Answers {
  switch (channel.medium) {
    case "connection":
      return { kind: "sent", write: (bytes) => channel.write(bytes) };
    case "pipe":
      return { kind: "impossible", peer: channel.peer };
    default:
      return { kind: "dropped" };
  }
}

async function machineLoader(): Promise<MachineLoader> {
  const { machine } = task;
  if (machine.kind === "described") {
    const { machineType, devices, hasDrives } = machine;
    return new DescribedLoader({
      machineType,
      devices,
      hasDrives,
      limits,
      target: main,
      statistics,
      interruption,
    });
  }
  const { module, data } = machine.memory;
  const { buildRam } = (await import(module)) as { readonly buildRam: BuildRam };
  return new CarriedLoader({ builder: buildRam(data), limits, target: main, interruption });
}

/** Tells the source of the failure, as far as it can be told. */
async function refuse(
  channel: Channel,
  returnPath: ReturnPath,
  chunks: ChunkReader,
  error: MigrationError,
): Promise<void> {
  try {
    if (await returnPath.refuse(error)) await closeInOrder(channel, chunks, LINGER_AFTER_FAILURE);
  } catch {
    // The channel is broken: the source sees that, and why the load failed is known already.
  } finally {
    channel.destroy();
  }
}

/** Reads on until the source has closed its end: a socket closed with bytes unread takes the last message back. */
async function closeInOrder(channel: Channel, chunks: ChunkReader, limit: number): Promise<void> {
  const timer = setTimeout(() => {
    channel.destroy();
  }, limit);
  try {
    await channel.end();
    await chunks.drain();
  } catch {
    // It is closed, which is all that is wanted.
  } finally {
    clearTimeout(timer);
    channel.destroy();
  }
}
