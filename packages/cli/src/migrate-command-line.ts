import type { MultifdCompression } from "@peregrine/protocol";
import { Option } from "commander";
import type { Command } from "commander";
import type { CommandHandlers, Finish, SendOptions } from "./command-options.ts";
import * as value from "./option-values.ts";

const MOST_DOWNTIME_MS = 2_000_000;
/** Connections beside the first one: what the wire can number. */
const MOST_CHANNELS = 255;

export interface SendFlags {
  readonly bandwidth: number;
  readonly downtime?: number;
  readonly xbzrle?: boolean;
  readonly multifd?: number;
  readonly compression?: MultifdCompression;
  readonly returnPath: boolean;
}

interface MigrateFlags extends SendFlags {
  readonly mappedRam?: boolean;
  readonly json?: boolean;
}

export function defineMigrate(command: Command, handlers: CommandHandlers, finish: Finish): void {
  sendOptions(command)
    .description("Moves a guest, and shows how it goes. Ends with status 0 when the guest has moved.")
    .argument("<name>", "the guest", value.guestName)
    .argument("<uri>", "where it is received: tcp:HOST:PORT or unix:PATH; file:PATH writes a file")
    .option("--mapped-ram", "to a file: each page at its own place, as QEMU 9.0 and later can load it")
    .option("--json", "print one JSON object per line")
    .action(async (name: string, uri: string, flags: MigrateFlags) => {
      const { mappedRam = false, json = false } = flags;
      finish(await handlers.migrate({ name, uri, send: { ...sendOf(command, flags), mappedRam }, json }));
    });
}

/** How a guest is sent, for every command that sends one. */
export function sendOptions(command: Command): Command {
  return command
    .option("--bandwidth <bytes>", "bytes per second, such as 64M; 0 is unlimited", value.bandwidth, 0)
    .option("--downtime <ms>", "how long the guest may stand still", value.wholeNumber(0, MOST_DOWNTIME_MS))
    .option("--xbzrle", "send what has changed in a page, not the page")
    .option("--multifd <channels>", "send pages on so many more connections", channels)
    .addOption(
      new Option("--compression <method>", "of the pages on those connections").choices([
        "none",
        "zlib",
        "zstd",
      ]),
    )
    .option("--no-return-path", "do not ask the destination whether it has the guest");
}

/** Errors: CommanderError where flags contradict each other. */
export function sendOf(command: Command, flags: SendFlags): SendOptions {
  const { bandwidth, downtime, xbzrle = false, multifd, compression, returnPath } = flags;
  if (compression !== undefined && multifd === undefined) {
    command.error("error: option '--compression <method>' needs --multifd, whose connections it compresses");
  }
  if (xbzrle && multifd !== undefined) {
    command.error("error: options '--xbzrle' and '--multifd <channels>' exclude each other");
  }
  return {
    bandwidth,
    downtime,
    xbzrle,
    channels: multifd ?? 0,
    compression: compression ?? "none",
    returnPath,
    mappedRam: false,
  };
}

export function channels(text: string): number {
  return value.wholeNumber(1, MOST_CHANNELS)(text);
}
