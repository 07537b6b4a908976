import { Login } from "../src/access/login.ts";
import { DEFAULT_MONITOR_LIMITS } from "../src/limits.ts";

/** Of a client at a unix socket. */
export function ownerLogin(): Login {
  return new Login({ access: { kind: "owner" }, limits: DEFAULT_MONITOR_LIMITS, hasRoom: () => true });
}
