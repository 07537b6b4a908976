import type { MigrateRequest } from "@peregrine/shared-state";
import type { ObjectProperties } from "@peregrine/transport";
import { Option } from "commander";
import type { Command } from "commander";
import type { CommandHandlers, Finish, SendOptions, TimeLimit } from "./command-options.ts";
import { requireExecAllowed } from "./exec-allowed.ts";
import * as value from "./option-values.ts";
import { absoluteObject, objectOption, sendTlsOf, sendTlsOptions } from "./tls-options.ts";
import type { SendTlsFlags } from "./tls-options.ts";

const MOST_DOWNTIME_MS = 2_000_000;
const MOST_SECONDS = 7 * 24 * 3600;

export interface SendFlags extends SendTlsFlags {
  readonly bandwidth: number;
  readonly downtime?: number;
  readonly xbzrle?: value.CacheSize;
  readonly parallel?: value.Parallel;
  readonly returnPath: boolean;
}

interface MigrateFlags extends SendFlags {
  readonly autoConverge?: boolean;
  readonly copyStorage?: "all" | "inc";
  readonly paused?: boolean;
  readonly timeout?: number;
  readonly onTimeout?: TimeLimit["action"];
  readonly mappedRam?: boolean;
  readonly allowExec?: boolean;
  readonly object?: readonly ObjectProperties[];
  readonly json?: boolean;
}

interface CheckpointFlags {
  readonly copyStorage?: "all" | "inc";
  readonly leaveRunning?: boolean;
  readonly json?: boolean;
}

/** `peregrine migrate`. */
export function defineMigrate(command: Command, handlers: CommandHandlers, finish: Finish): void {
  objectOption(sendOptions(command))
    .description("Moves a guest, and shows how it goes. Ends with status 0 when the guest has moved.")
    .argument("<name>", "the guest", value.guestName)
    .argument(
      "<uri>",
      "where it is received: tcp:HOST:PORT, unix:PATH, ws://HOST:PORT[/PATH] or wss://HOST:PORT[/PATH]; " +
        "file:PATH[,offset=N] writes a file; exec:COMMAND feeds a command, which the guest's agent runs in its own " +
        "directory; fd:NUMBER is a descriptor of that agent's process, fd:NAME one that was handed to its monitor",
    )
    .option("--auto-converge", "slow the guest down as far as it takes for the migration to end")
    .addOption(storageOption())
    .option("--paused", "leave the guest paused at the destination")
    .option(
      "--timeout <seconds>",
      "do something about a migration that takes longer",
      value.wholeNumber(1, MOST_SECONDS),
    )
    .addOption(
      new Option(
        "--on-timeout <action>",
        "cancel it; force: stop the guest for what is left; throttle: slow the guest down",
      ).choices(["cancel", "force", "throttle"]),
    )
    .option("--mapped-ram", "to a file: each page at its own place, as QEMU 9.0 and later can load it")
    .option("--allow-exec", "let exec: run a command; the guest's agent has to be started with it, too")
    .option("--json", "print one JSON object per line")
    .action(async (name: string, uri: string, flags: MigrateFlags) => {
      const { autoConverge = false, mappedRam = false, allowExec = false, json = false } = flags;
      requireExecAllowed([uri], allowExec);
      const send = { ...sendOf(command, flags), autoConverge, mappedRam };
      const timeLimit = timeLimitOf(command, flags);
      const objects = (flags.object ?? []).map(absoluteObject);
      finish(
        await handlers.migrate({ name, uri, send, request: requestOf(flags), objects, timeLimit, json }),
      );
    });
}

/** `peregrine checkpoint`. */
export function defineCheckpoint(command: Command, handlers: CommandHandlers, finish: Finish): void {
  command
    .description("Puts a guest into a file, from which peregrine restore takes it. It ends here.")
    .argument("<name>", "the guest", value.guestName)
    .argument("<file>", "a new file")
    .option("--leave-running", "let the guest go on here")
    .addOption(storageOption())
    .option("--json", "print one JSON object per line")
    .action(async (name: string, file: string, flags: CheckpointFlags) => {
      const { copyStorage: storage, leaveRunning = false, json = false } = flags;
      finish(await handlers.checkpoint({ name, file, storage, leaveRunning, json }));
    });
}

/** How a guest is sent, for every command that sends one. */
export function sendOptions(command: Command): Command {
  return sendTlsOptions(command)
    .option("--bandwidth <bytes>", "bytes per second, such as 64M; 0 is unlimited", value.bandwidth, 0)
    .option("--downtime <ms>", "how long the guest may stand still", value.wholeNumber(0, MOST_DOWNTIME_MS))
    .option(
      "--xbzrle [=CACHE]",
      "send what has changed in a page, not the page; CACHE bytes are kept to compare with",
      value.cacheSize,
    )
    .option(
      "--parallel <channels>",
      "send pages on so many more connections; 4,zstd also compresses them, with zlib or zstd",
      value.parallel,
    )
    .option("--no-return-path", "do not ask the destination whether it has the guest");
}

/** Errors: CommanderError where flags contradict each other. */
export function sendOf(command: Command, flags: SendFlags): SendOptions {
  const { bandwidth, downtime, xbzrle, parallel, returnPath } = flags;
  if (xbzrle !== undefined && parallel !== undefined) {
    command.error("error: options '--xbzrle' and '--parallel <channels>' exclude each other");
  }
  return {
    bandwidth,
    downtime,
    xbzrle: xbzrle !== undefined,
    xbzrleCache: xbzrle?.bytes,
    autoConverge: false,
    channels: parallel?.channels ?? 0,
    compression: parallel?.compression ?? "none",
    returnPath,
    mappedRam: false,
    tls: sendTlsOf(command, flags),
  };
}

function storageOption(): Option {
  return new Option(
    "--copy-storage <what>",
    "send what drives hold, too: all of it, or inc, what is not in their backing files",
  ).choices(["all", "inc"]);
}

function requestOf({ copyStorage, paused = false }: MigrateFlags): MigrateRequest {
  return { ...(copyStorage === undefined ? {} : { storage: copyStorage }), paused };
}

function timeLimitOf(command: Command, { timeout, onTimeout }: MigrateFlags): TimeLimit | undefined {
  if ((timeout === undefined) !== (onTimeout === undefined)) {
    command.error("error: options '--timeout <seconds>' and '--on-timeout <action>' need each other");
  }
  return timeout === undefined || onTimeout === undefined
    ? undefined
    : { seconds: timeout, action: onTimeout };
}
