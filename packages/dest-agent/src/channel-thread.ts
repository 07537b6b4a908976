/** The thread of one multifd channel: it reads, decompresses and writes into guest memory. */
import { MigrationError, preparePageKernels } from "@peregrine/protocol";
import { adopt, prepareConnections } from "@peregrine/transport";
import type { Channel, ReleasedConnection } from "@peregrine/transport";
import { parentPort, workerData } from "node:worker_threads";
import { ChannelLoad } from "./channel-load.ts";
import { ChunkReader } from "./chunk-reader.ts";
import type { ChannelTask, MessageFromChannel, MessageToChannel } from "./channel-messages.ts";
import { IncomingStatistics } from "./incoming-statistics.ts";
import { PassedBytes } from "./passed-bytes.ts";
import { READ_BYTES } from "./read-bytes.ts";

if (parentPort === null) throw new MigrationError("INTERNAL", "the thread of a channel is not a program");
const port = parentPort;
const { statistics, writer, memoryComplete } = workerData as ChannelTask;
const tell = (message: MessageFromChannel): void => port.postMessage(message);
const load = new ChannelLoad({
  statistics: new IncomingStatistics(statistics, writer),
  memoryComplete,
  tell,
});
const passed = new PassedBytes(() => tell({ kind: "taken" }));
let channel: Channel | undefined;
// The thread is there before the channel is: what that needs is loaded by then.
void prepareConnections();
preparePageKernels();

/** The memory is being opened, or is open. */
let opened: Promise<void> = Promise.resolve();

port.on("message", (message: MessageToChannel) => {
  switch (message.kind) {
    case "load":
      void run(message);
      break;
    case "bytes":
      passed.add(message.bytes);
      break;
    case "end":
      passed.end();
      break;
    case "memory":
      opened = load.open(message.ram, message.blocks);
      opened.catch(fail);
      break;
    case "go-on":
      void opened.then(() => load.goOn());
      break;
    case "close":
      channel?.destroy();
      port.close();
      break;
  }
});

async function run({
  connection,
  bytes,
}: Extract<MessageToChannel, { readonly kind: "load" }>): Promise<void> {
  try {
    if (connection === undefined) await load.run(new ChunkReader(passed.read(bytes)), undefined);
    else await loadFrom(connection, bytes);
    tell({ kind: "ended" });
  } catch (error) {
    fail(error);
  }
}

async function loadFrom(connection: ReleasedConnection, bytes: Uint8Array): Promise<void> {
  const adopted = adopt(connection, { readBuffer: () => new Uint8Array(READ_BYTES) });
  channel = adopted;
  tell({ kind: "adopted" });
  const chunks = new ChunkReader(read(adopted, [bytes, connection.bytes]), adopted);
  await load.run(chunks, await adopted.scattering?.());
}

/** @param before what was read of the channel elsewhere. */
async function* read(from: Channel, before: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  for (const bytes of before) if (bytes.length > 0) yield bytes;
  yield* from.read();
}

function fail(error: unknown): void {
  tell({ kind: "failed", error: MigrationError.from(error).serialize() });
}
