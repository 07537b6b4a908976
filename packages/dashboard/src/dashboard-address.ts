import { MigrationError } from "@peregrine/protocol";
import { checkLoopback } from "@peregrine/monitor";

/** Where a dashboard listens. */
export interface DashboardAddress {
  /** Of the loopback interface, without brackets. */
  readonly host: string;
  /** 0: any. */
  readonly port: number;
}

const ADDRESS = /^(?:http:\/\/)?(?<host>\[[\d:a-f]+\]|[\w.-]+):(?<port>\d{1,5})\/?$/iu;

/** `127.0.0.1:8620`, `[::1]:0`, also as the URL of a page. Errors: BAD_ADDRESS, also for an address that others can reach. */
export function parseDashboardAddress(text: string): DashboardAddress {
  const { host, port } = ADDRESS.exec(text)?.groups ?? {};
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new MigrationError(
      "BAD_ADDRESS",
      `A dashboard's address is HOST:PORT, such as 127.0.0.1:8620, not '${text}'`,
    );
  }
  const name = host.replaceAll(/[[\]]/gu, "");
  checkLoopback(name, "A dashboard");
  return { host: name, port: Number(port) };
}
