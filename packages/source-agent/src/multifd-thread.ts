/** The thread of one multifd connection: it copies pages out of the guest, compresses and sends them. */
import { MigrationError, MultifdChannelEncoder } from "@peregrine/protocol";
import { connect } from "@peregrine/transport";
import { parentPort, workerData } from "node:worker_threads";
import { MultifdChannel } from "./multifd-channel.ts";
import { openCompressor } from "./multifd-compressor.ts";
import type { MessageFromMultifd, MessageToMultifd, MultifdThreadData } from "./multifd-messages.ts";
import { openRam } from "./open-ram.ts";

if (parentPort === null) throw new MigrationError("INTERNAL", "the thread of a connection is not a program");
const port = parentPort;
const data = workerData as MultifdThreadData;
const givenUp = new AbortController();
let channel: MultifdChannel | undefined;

const tell = (message: MessageFromMultifd): void => port.postMessage(message);

port.on("message", (message: MessageToMultifd) => {
  if (message.kind !== "close") {
    channel?.take(message);
    return;
  }
  givenUp.abort();
  channel?.close();
  port.close();
});

try {
  channel = await open();
} catch (error) {
  tell({ kind: "failed", error: MigrationError.from(error).serialize() });
}

async function open(): Promise<MultifdChannel> {
  const { uri, tls, connectTimeout, keepalive, channel: number, uuid, packetNumbers } = data;
  const signal = AbortSignal.any([givenUp.signal, AbortSignal.timeout(connectTimeout)]);
  const ram = await openRam(data.ram);
  // Understood by every release that has multifd since 5.0.
  const compressor = openCompressor(data);
  const encoder = new MultifdChannelEncoder({ layout: "5.0", compressor });
  const connected = await connect(uri, { signal, tls, keepalive });
  const gathering = await connected.gathering?.();
  const isCompressed = compressor !== undefined;
  const options = { channel: connected, gathering, ram, encoder, isCompressed, packetNumbers, tell };
  const opened = new MultifdChannel(options);
  if (givenUp.signal.aborted) opened.destroy();
  else await opened.open({ uuid, channel: number });
  return opened;
}
