import { formatUri } from "@peregrine/transport";
import { resolve } from "node:path";
import type { CheckpointOptions, SendOptions } from "../command-options.ts";
import { NO_SEND_TLS } from "../tls-options.ts";
import { followMigration } from "./follow-migration.ts";

/** All at once, on the one connection that a file is. */
const INTO_A_FILE: SendOptions = {
  bandwidth: 0,
  downtime: undefined,
  xbzrle: false,
  xbzrleCache: undefined,
  autoConverge: false,
  channels: 0,
  compression: "none",
  returnPath: true,
  mappedRam: false,
  tls: NO_SEND_TLS,
};

/** `peregrine checkpoint`: a migration into a new file. */
export function checkpointCommand(options: CheckpointOptions): Promise<number> {
  const { name, file, storage, leaveRunning, json } = options;
  return followMigration({
    name,
    uri: formatUri({ kind: "file", path: resolve(file), offset: 0 }),
    send: INTO_A_FILE,
    request: { ...(storage === undefined ? {} : { storage }), copy: leaveRunning },
    objects: [],
    timeLimit: undefined,
    json,
  });
}
