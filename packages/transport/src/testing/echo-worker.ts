import { parentPort, workerData } from "node:worker_threads";
import { connect } from "../uri.ts";

/** Connects to the URI it was given and sends everything back that it receives. */
const channel = await connect(workerData as string);
for await (const chunk of channel.read()) await channel.write(chunk);
await channel.end();
parentPort?.postMessage(channel.bytesWritten);
