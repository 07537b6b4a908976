/** The thread of one multifd channel: it reads, decompresses and writes into guest memory. */
import { MigrationError } from "@peregrine/protocol";
import { adopt } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { parentPort, workerData } from "node:worker_threads";
import { ChannelLoad } from "./channel-load.ts";
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
    await load.run(connection === undefined ? passed.read(bytes) : read(connection, bytes));
    tell({ kind: "ended" });
  } catch (error) {
    fail(error);
  }
}

async function* read(
  connection: NonNullable<Extract<MessageToChannel, { readonly kind: "load" }>["connection"]>,
  bytes: Uint8Array,
): AsyncGenerator<Uint8Array, void, void> {
  channel = adopt(connection, { readBuffer: () => new Uint8Array(READ_BYTES) });
  tell({ kind: "adopted" });
  yield bytes;
  if (connection.bytes.length > 0) yield connection.bytes;
  yield* channel.read();
}

function fail(error: unknown): void {
  tell({ kind: "failed", error: MigrationError.from(error).serialize() });
}
