import type { DashboardAddress } from "@peregrine/dashboard";
import type { Preopen } from "@peregrine/machine-wasm";
import { AccessToken, monitorAccess, parseMonitorAddress } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import { formatUri } from "@peregrine/transport";
import type { ObjectProperties } from "@peregrine/transport";
import type { DriveOptions } from "@peregrine/node-host";
import { Option } from "commander";
import type { Command } from "commander";
import { resolve } from "node:path";
import { applyConfiguration } from "./configuration/apply-configuration.ts";
import type {
  AgentCommandOptions,
  ArrivalOptions,
  CommandHandlers,
  Finish,
  GuestOptions,
  MetricsOptions,
  NicOptions,
  ReceiveOptions,
} from "./command-options.ts";
import { DEFAULT_STACK_MIB } from "./command-options.ts";
import { requireExecAllowed } from "./exec-allowed.ts";
import { sendOf, sendOptions } from "./migrate-command-line.ts";
import type { SendFlags } from "./migrate-command-line.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./log/log-options.ts";
import type { LogLevel, LogOptions } from "./log/log-options.ts";
import { requireMetricsToken } from "./metrics/metrics-address.ts";
import type { MetricsAddress } from "./metrics/metrics-address.ts";
import { takeMetricsToken, takeMonitorToken } from "./monitor-token.ts";
import * as value from "./option-values.ts";
import {
  absoluteObject,
  arrivalTlsOf,
  arrivalTlsOptions,
  monitorTlsOf,
  objectOption,
} from "./tls-options.ts";

/** MiB of stack that a guest can have at most. */
const MOST_STACK_MIB = 1024;

/** Seconds. */
const LONGEST_SILENCE = 3600;
const LONGEST_HOOK = 3600;
const DEFAULT_HOOK_SECONDS = 30;

export const TOKEN_FILE_HELP =
  "what clients of monitors over TCP and WebSocket, and pages, have to know; without it, PEREGRINE_MONITOR_TOKEN";

interface AgentFlags {
  readonly name?: string;
  readonly qmp?: readonly string[];
  readonly qmpOrigin?: readonly string[];
  readonly monitor?: readonly string[];
  readonly dashboard?: DashboardAddress;
  readonly object?: readonly ObjectProperties[];
  readonly monitorTokenFile?: string;
  readonly monitorTlsCreds?: string;
  readonly monitorTlsAuthz?: string;
  readonly metrics?: readonly MetricsAddress[];
  readonly metricsTokenFile?: string;
  readonly logFormat: LogOptions["format"];
  readonly logLevel?: LogLevel;
  readonly allowExec?: boolean;
  readonly allowHostUris?: boolean;
  readonly keep?: boolean;
  readonly keepalive: number;
}

interface GuestFlags {
  readonly state?: string;
  readonly dir?: readonly Preopen[];
  readonly drive?: readonly DriveOptions[];
  readonly nic?: readonly NicOptions[];
  readonly paused?: boolean;
  readonly onArrival?: string;
  readonly onDeparture?: string;
  readonly hookTimeout: number;
}

interface IntakeFlags {
  readonly parallel?: number;
  readonly maxRam?: number;
}

interface RunFlags extends AgentFlags, GuestFlags {
  readonly env?: readonly string[];
  readonly stack: number;
  readonly migrate: boolean;
}

interface ReceiveFlags extends AgentFlags, GuestFlags, IntakeFlags {
  readonly tlsCreds?: string;
  readonly tlsAuthz?: string;
  readonly machine: ReceiveOptions["machine"];
  readonly exitOnError: boolean;
  readonly sourceDirs?: boolean;
  readonly store?: string;
  readonly uuid?: Uint8Array;
}

interface RestoreFlags extends AgentFlags, GuestFlags {
  readonly maxRam?: number;
}

interface RelayFlags extends AgentFlags, SendFlags {
  readonly intakeParallel?: number;
  readonly maxRam?: number;
  readonly intakeTlsCreds?: string;
  readonly intakeTlsAuthz?: string;
  readonly uuid?: Uint8Array;
  readonly json?: boolean;
}

/** `peregrine run`. */
export function defineRun(command: Command, handlers: CommandHandlers, finish: Finish): Command {
  return guestOptions(agentOptions(command))
    .description("Runs a WASI program so that it can be migrated. Its exit status is the program's.")
    .argument("[program.wasm]", "the module; needed unless --config names it")
    .argument("[args...]", "arguments for the program, after --")
    .option("--env <K=V>", "set an environment variable; may be repeated", value.each(value.environmentEntry))
    .option("--stack <MiB>", "stack of the program", value.wholeNumber(1, MOST_STACK_MIB), DEFAULT_STACK_MIB)
    .option("--no-migrate", "run the module unmodified; it can do more, and cannot be migrated or stopped")
    .action(async () => {
      const [program, args] = (await applyConfiguration(command)) as [string, string[]];
      const given = command.opts<RunFlags>();
      const { env: environment = [], stack: stackMib, migrate: migratable } = given;
      const options = { ...(await agentOf(command, given)), ...guestOf(given), program, args, environment };
      finish(await handlers.run({ ...options, stackMib, migratable }));
    });
}

/** `peregrine receive`. */
export function defineReceive(command: Command, handlers: CommandHandlers, finish: Finish): Command {
  return arrivalTlsOptions(intakeOptions(guestOptions(agentOptions(command)), "--parallel <channels>"), "")
    .description("Waits for a guest to arrive, and runs it. Its exit status is the guest's.")
    .argument(
      "[uri]",
      "where to wait, needed unless --config says it: tcp:HOST:PORT, with port 0 for any, unix:PATH, ws://HOST:PORT[/PATH] or " +
        "wss://HOST:PORT[/PATH]; file:PATH[,offset=N] reads a file, exec:COMMAND the output of a " +
        "command, fd:NUMBER a descriptor that this process was started with; defer waits for the monitor's migrate-incoming to say where",
    )
    .option(
      "--source-dirs",
      "give the guest every directory that it had at the source, at the source's path: only for a source that is trusted",
    )
    .option("--no-exit-on-error", "stay for the monitor's clients when the guest could not be loaded")
    .addOption(
      new Option("--machine <kind>", "a WebAssembly program, or a virtual machine of QEMU that is held")
        .choices(["wasm", "image"])
        .default("wasm"),
    )
    .option("--store <directory>", "keep the virtual machine on disk, too; it is taken from there next time")
    .addOption(uuidOption())
    .action(async () => {
      const [uri] = (await applyConfiguration(command)) as [string];
      const given = command.opts<ReceiveFlags>();
      requireExecAllowed([uri], given.allowExec ?? false);
      finish(await handlers.receive(await receiveOf(command, uri, given)));
    });
}

/** `peregrine restore`: a guest is received from a file. */
export function defineRestore(command: Command, handlers: CommandHandlers, finish: Finish): void {
  guestOptions(agentOptions(command))
    .description("Takes a guest from the file of peregrine checkpoint, and runs it. The file stays.")
    .argument("[file]", "the file; needed unless --config names it")
    .addOption(maxRamOption())
    .action(async () => {
      const [file] = (await applyConfiguration(command)) as [string];
      const given = command.opts<RestoreFlags>();
      const uri = formatUri({ kind: "file", path: resolve(file), offset: 0 });
      const flags: ReceiveFlags = { ...given, machine: "wasm", sourceDirs: true, exitOnError: true };
      finish(await handlers.receive(await receiveOf(command, uri, flags)));
    });
}

/** `peregrine relay`. */
export function defineRelay(command: Command, handlers: CommandHandlers, finish: Finish): void {
  const taking = intakeOptions(agentOptions(command), "--intake-parallel <channels>");
  sendOptions(arrivalTlsOptions(taking, "intake-"))
    .description("Takes the migration of a QEMU and sends it on at the same time, while the guest runs.")
    .argument("[in]", "where the source connects, as for peregrine receive; needed unless --config says it")
    .argument(
      "[out]",
      "where the destination waits, as for peregrine migrate; needed unless --config says it",
    )
    .addOption(uuidOption())
    .option("--json", "print one JSON object per line")
    .action(async () => {
      const [from, to] = (await applyConfiguration(command)) as [string, string];
      const given = command.opts<RelayFlags>();
      const { maxRam, intakeParallel, uuid, json = false } = given;
      requireExecAllowed([from, to], given.allowExec ?? false);
      const agent = await agentOf(command, given);
      const { intakeTlsCreds: creds, intakeTlsAuthz: authz } = given;
      const arrivalTls = arrivalTlsOf(command, { creds, authz }, "intake-");
      const intake = { channels: intakeParallel ?? 0, maxRam, arrivalTls };
      const options = { ...agent, ...intake, from, to, uuid, json };
      finish(await handlers.relay({ ...options, send: sendOf(command, given) }));
    });
}

function agentOptions(command: Command): Command {
  return objectOption(command)
    .option("--config <file>", "take from this file in TOML what the command line does not say")
    .option("--name <name>", "name of the guest on this host", value.guestName)
    .option(
      "--qmp <address>",
      "also serve QMP there: tcp:HOST:PORT, unix:PATH or ws://127.0.0.1:PORT; may be repeated",
      value.each(value.monitorAddress("qmp")),
    )
    .option(
      "--qmp-origin <origin>",
      "let pages of this origin use QMP by WebSocket, not only those of this machine; may be repeated",
      value.each(value.origin),
    )
    .option(
      "--monitor <address>",
      "also serve the monitor for people there: tcp:HOST:PORT or unix:PATH; may be repeated",
      value.each(value.monitorAddress("human")),
    )
    .option(
      "--dashboard <address>",
      "serve a page that shows the guest and its migrations, and can start them: 127.0.0.1:PORT",
      value.dashboardAddress,
    )
    .option("--monitor-token-file <file>", TOKEN_FILE_HELP)
    .option(
      "--monitor-tls-creds <id>",
      "serve --qmp and --monitor at tcp: over TLS alone, with the credentials of this --object",
    )
    .option("--monitor-tls-authz <id>", "serve only clients there whose certificate this --object allows")
    .option(
      "--metrics <address>",
      "serve figures to Prometheus there: 127.0.0.1:PORT, HOST:PORT or unix:PATH; may be repeated",
      value.each(value.metricsAddress),
    )
    .option(
      "--metrics-token-file <file>",
      "what those have to know who read figures over TCP; without it, PEREGRINE_METRICS_TOKEN",
    )
    .addOption(
      new Option(
        "--log-format <format>",
        "of messages on stderr: text, json (an object per line), or auto: text on a terminal, else json",
      )
        .choices([...LOG_FORMATS])
        .default("text"),
    )
    .addOption(
      new Option(
        "--log-level <level>",
        "what is logged beside messages: from info on changes of state, from debug on passes and settings " +
          "(default: warn as text, info as json)",
      ).choices([...LOG_LEVELS]),
    )
    .option("--allow-exec", "let exec: run commands, for every client of the monitor")
    .option(
      "--allow-host-uris",
      "let clients over TCP and WebSocket name files, unix sockets and descriptors of this host: to send the guest there, to take it from there, and for TLS",
    )
    .option("--keep", "stay after the guest has moved away")
    .option(
      "--keepalive <seconds>",
      "give up a migration whose other side has said nothing for so long; 0: never",
      value.wholeNumber(0, LONGEST_SILENCE),
      5,
    );
}

/** For agents that can have a guest of their own. A relay passes one on, so its records would say what is not so. */
function guestOptions(command: Command): Command {
  return command
    .option("--state <directory>", "keep there who has the guest, for an agent that is started again")
    .option("--dir <HOST::GUEST>", "give the guest a directory; may be repeated", value.each(value.directory))
    .option(
      "--drive <id=ID,file=PATH>",
      "give the guest an image file as /drives/ID; also backing=PATH and lock=off; may be repeated",
      value.each(value.drive),
    )
    .option(
      "--nic <mac=MAC,netdev=NETDEV>",
      "announce the guest there, for example on stream:unix:PATH or dgram:HOST:PORT; may be repeated",
      value.each(value.nic),
    )
    .option("-S, --paused", "do not start the guest before `peregrine cont`")
    .option(
      "--on-arrival <command>",
      "run this with the shell when the guest is here: it was started, or has arrived",
      value.shellCommand,
    )
    .option(
      "--on-departure <command>",
      "run this with the shell when the guest is here no longer: it has moved away, or has ended",
      value.shellCommand,
    )
    .option(
      "--hook-timeout <seconds>",
      "end a command of --on-arrival or --on-departure that takes longer",
      value.wholeNumber(1, LONGEST_HOOK),
      DEFAULT_HOOK_SECONDS,
    );
}

/** @param parallel the flag that allows more connections: a relay has another one for sending. */
function intakeOptions(command: Command, parallel: string): Command {
  return command
    .option(
      parallel,
      "take so many more connections of the source, which sends pages on them",
      value.channels,
    )
    .addOption(maxRamOption());
}

function maxRamOption(): Option {
  return new Option(
    "--max-ram <bytes>",
    "refuse a guest that needs more memory, such as 512M or 16G; a program cannot grow beyond it either " +
      "(default: the memory that is free when it begins to wait)",
  ).argParser(value.memorySize);
}

function uuidOption(): Option {
  return new Option(
    "--uuid <uuid>",
    "of the virtual machine, for a destination that checks it on multifd connections",
  ).argParser(value.uuid);
}

/** Errors: TOKEN_NEEDED, as far as that is known before anything is made or opened; CommanderError. */
async function agentOf(command: Command, flags: AgentFlags): Promise<AgentCommandOptions> {
  const { name, qmp = [], qmpOrigin: origins = [], monitor: human = [], keep = false } = flags;
  const text = await takeMonitorToken(flags.monitorTokenFile, process.env);
  const token = text === undefined ? undefined : new AccessToken(text);
  const addresses = [
    ...qmp.map((uri) => ({ uri, ...parseMonitorAddress(uri, "qmp") })),
    ...human.map((uri) => ({ uri, ...parseMonitorAddress(uri, "human") })),
  ];
  const given = { creds: flags.monitorTlsCreds, authz: flags.monitorTlsAuthz };
  const tls = monitorTlsOf(command, given, addresses);
  for (const { uri, kind } of addresses) {
    // Whom credentials let in is known when they have been read.
    if (kind !== "tcp" || tls.creds === undefined) monitorAccess({ kind }, uri, { token });
  }
  const opening = { exec: flags.allowExec ?? false, hostFromNetwork: flags.allowHostUris ?? false };
  const { dashboard } = flags;
  if (dashboard !== undefined && token === undefined) throw dashboardNeedsToken(dashboard);
  const monitors = { qmp, human, origins, token, tls, dashboard, opening };
  const metrics = await metricsOf(flags);
  const log = { format: flags.logFormat, level: flags.logLevel };
  const objects = (flags.object ?? []).map(absoluteObject);
  return { name, monitors, metrics, log, objects, keep, silence: flags.keepalive * 1000 };
}

/** Errors: TOKEN_NEEDED. */
async function metricsOf({ metrics: addresses = [], metricsTokenFile }: AgentFlags): Promise<MetricsOptions> {
  const text = await takeMetricsToken(metricsTokenFile, process.env);
  for (const address of addresses) requireMetricsToken(address, text !== undefined);
  return { addresses, token: text === undefined ? undefined : new AccessToken(text) };
}

function dashboardNeedsToken({ host, port }: DashboardAddress): MigrationError {
  return new MigrationError(
    "TOKEN_NEEDED",
    `A dashboard at '${host}:${port}' can be reached by others and needs a token: give --monitor-token-file FILE, or set PEREGRINE_MONITOR_TOKEN`,
  );
}

function guestOf({ dir = [], drive = [], nic = [], paused = false, ...given }: GuestFlags): GuestOptions {
  const { state, onArrival: arrival, onDeparture: departure, hookTimeout } = given;
  const hooks = { arrival, departure, limit: hookTimeout * 1000 };
  return { state, directories: dir, drives: drive, nics: nic, hooks, paused };
}

async function receiveOf(command: Command, uri: string, given: ReceiveFlags): Promise<ReceiveOptions> {
  const { machine, state, store, uuid, parallel = 0, maxRam, exitOnError } = given;
  const arrivalTls = arrivalTlsOf(command, { creds: given.tlsCreds, authz: given.tlsAuthz }, "");
  const arrival: ArrivalOptions = { uri, channels: parallel, maxRam, exitOnError, arrivalTls };
  const common = { ...(await agentOf(command, given)), ...arrival };
  if (machine === "image") {
    if (given.dir !== undefined) command.error("error: option '--dir <HOST::GUEST>' is for --machine wasm");
    if (given.sourceDirs === true) command.error("error: option '--source-dirs' is for --machine wasm");
    if (given.drive !== undefined)
      command.error("error: option '--drive <id=ID,file=PATH>' is for --machine wasm");
    if (given.nic !== undefined)
      command.error("error: option '--nic <mac=MAC,netdev=NETDEV>' is for --machine wasm");
    if (given.onArrival !== undefined || given.onDeparture !== undefined)
      command.error("error: options '--on-arrival' and '--on-departure' are for --machine wasm");
    if (given.paused === true) command.error("error: option '-S, --paused' is for --machine wasm");
    return { ...common, machine, state, store, uuid };
  }
  if (store !== undefined) command.error("error: option '--store <directory>' is for --machine image");
  if (uuid !== undefined) command.error("error: option '--uuid <uuid>' is for --machine image");
  return { ...common, ...guestOf(given), machine, sourceDirectories: given.sourceDirs ?? false };
}
