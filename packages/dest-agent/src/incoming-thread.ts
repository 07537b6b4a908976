/** The entry of the incoming thread: it owns the listening socket and the channel, and loads one stream. */
import { MigrationError } from "@peregrine/protocol";
import { listen } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { parentPort, workerData } from "node:worker_threads";
import { ChunkReader } from "./chunk-reader.ts";
import type { IncomingTask } from "./incoming-messages.ts";
import { IncomingStatistics } from "./incoming-statistics.ts";
import { Interruption } from "./interruption.ts";
import { loadStream } from "./load-stream.ts";
import { MainLink } from "./main-link.ts";
import { ReturnPath } from "./return-path.ts";

/** Milliseconds that the source has for reading the last message and closing its end. */
const LINGER_AFTER_LOAD = 5000;
const LINGER_AFTER_FAILURE = 1000;

const task = workerData as IncomingTask;
const interruption = new Interruption();
if (parentPort === null)
  throw new MigrationError("INTERNAL", "incoming-thread.ts was not started as a thread");
const main = new MainLink(parentPort, interruption);

try {
  await receive(await acceptOne());
} catch (error) {
  main.tell({ kind: "failed", error: MigrationError.from(error).serialize() });
} finally {
  main.close();
}

/** Listens until the first connection, and no longer. */
async function acceptOne(): Promise<Channel> {
  const listener = await listen(task.uri, task.channelOptions);
  try {
    main.tell({ kind: "listening", address: listener.address });
    return await interruption.wait(listener.accept());
  } finally {
    await listener.close();
  }
}

async function receive(channel: Channel): Promise<void> {
  main.tell({ kind: "connected", peer: channel.peer });
  const returnPath = new ReturnPath((bytes) => channel.write(bytes), interruption);
  const chunks = new ChunkReader(channel.read());
  void watch(channel);
  try {
    await loadStream({
      machineType: task.machineType,
      devices: task.devices,
      limits: task.limits,
      statistics: new IncomingStatistics(task.statistics),
      target: main,
      returnPath,
      interruption,
      chunks,
    });
  } catch (error) {
    await refuse(channel, returnPath, chunks);
    throw error;
  }
  main.tell({ kind: "loaded" });
  await main.released;
  await closeInOrder(channel, chunks, LINGER_AFTER_LOAD);
}

/** A channel that breaks while nothing is read from it would not be noticed otherwise. */
async function watch(channel: Channel): Promise<void> {
  await channel.closed;
  if (channel.error !== undefined) interruption.interrupt(channel.error);
}

/** Tells the source of the failure, as far as it can be told. */
async function refuse(channel: Channel, returnPath: ReturnPath, chunks: ChunkReader): Promise<void> {
  try {
    if (await returnPath.shut(1)) await closeInOrder(channel, chunks, LINGER_AFTER_FAILURE);
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
