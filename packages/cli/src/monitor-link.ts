import { QmpClient } from "@peregrine/monitor";
import type { QmpConnectOptions } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";

/**
 * A client of a monitor at an address. `timeout`: milliseconds.
 * Errors: as {@link QmpClient.connect}, in words that name the flags which help.
 */
export async function connectToMonitor(
  uri: string,
  { token, tls }: Pick<QmpConnectOptions, "token" | "tls">,
  timeout: number,
): Promise<QmpClient> {
  const overdue = AbortSignal.timeout(timeout);
  try {
    return await QmpClient.connect(uri, { token, tls, signal: overdue });
  } catch (error) {
    if (overdue.aborted && tls === undefined) throw silent(uri, timeout, error);
    if (token !== undefined || !MigrationError.is(error) || error.code !== "ACCESS_DENIED") throw error;
    throw new MigrationError(
      "ACCESS_DENIED",
      `The monitor at '${uri}' needs a token: give --monitor-token-file FILE or set PEREGRINE_MONITOR_TOKEN`,
      { cause: error },
    );
  }
}

/** One that has TLS waits for its client to begin. */
function silent(uri: string, timeout: number, cause: unknown): MigrationError {
  const text = `The monitor at '${uri}' has said nothing for ${timeout / 1000} s; if it has TLS, give --object and --tls-creds`;
  return new MigrationError("CONNECT_FAILED", text, { cause });
}
