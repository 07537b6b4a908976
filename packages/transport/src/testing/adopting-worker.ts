import { workerData } from "node:worker_threads";
import { adopt } from "../adopt.ts";
import type { ReleasedConnection } from "../channel.ts";

/** Sends back what it is given of a connection, and everything that comes on it. */
const released = workerData as ReleasedConnection;
const channel = adopt(released);
await channel.write(released.bytes);
for await (const chunk of channel.read()) await channel.write(chunk);
await channel.end();
await channel.closed;
