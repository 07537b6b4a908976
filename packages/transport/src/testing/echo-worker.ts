import { parentPort, workerData } from "node:worker_threads";
import type { ClientTls } from "../tls/credentials.ts";
import { connect } from "../uri.ts";

const { uri, tls } = workerData as { readonly uri: string; readonly tls: ClientTls | undefined };

/** Connects to the URI it was given and sends everything back that it receives. */
const channel = await connect(uri, { tls });
for await (const chunk of channel.read()) await channel.write(chunk);
await channel.end();
parentPort?.postMessage(channel.bytesWritten);
