import type net from "node:net";
import { descriptorOf } from "./descriptors/descriptor-of.ts";
import { loadSocketCalls } from "./descriptors/socket-calls.ts";

/** Twice this is what the kernel takes before anybody has read it, as far as the host allows it. */
const SEND_BUFFER_BYTES = 1024 * 1024;

/**
 * Has a unix socket take more at once. The kernel's default is a fifth of a MiB, after which the two ends wait for each
 * other in turn; for TCP it finds the size by itself. Where it cannot be told, the socket stays as it is.
 */
export async function widenSendBuffer(socket: net.Socket): Promise<void> {
  const calls = await loadSocketCalls();
  const descriptor = descriptorOf(socket);
  if (descriptor !== undefined) calls?.setSendBuffer(descriptor, SEND_BUFFER_BYTES);
}
