import net from "node:net";

/** Undefined for what is no socket of the system alone, such as a WebSocket, and for one that is gone. */
export function descriptorOf(socket: object): number | undefined {
  if (!(socket instanceof net.Socket) || socket.destroyed || "encrypted" in socket) return undefined;
  // Node has no documented name for it.
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd === undefined || handle.fd < 0 ? undefined : handle.fd;
}
