import type { HostCalls, WasiContext } from "../context.ts";
import { HostError } from "../errno.ts";

/** No descriptor is ever a socket here: preview1 cannot create one, and none is handed in. */
export function socketCalls(context: WasiContext): HostCalls {
  const refuse = (fd: number): void => {
    context.table.get(fd);
    throw new HostError("ENOTSOCK");
  };
  return { sock_accept: refuse, sock_recv: refuse, sock_send: refuse, sock_shutdown: refuse };
}
