import type { ClientTls, ObjectProperties, ServerTls } from "@peregrine/transport";
import { parseUri, SecurityObjects } from "@peregrine/transport";
import { Option } from "commander";
import type { Command } from "commander";
import { resolve } from "node:path";
import * as value from "./option-values.ts";

/** TLS of connections that are awaited. */
export interface ArrivalTls {
  /** Id of the credentials. Undefined: no TLS. */
  readonly creds: string | undefined;
  /** Id of the authorization object. */
  readonly authz: string | undefined;
}

/** TLS of connections that are made. */
export interface SendTls {
  /** Id of the credentials; empty: no TLS. Undefined leaves what the agent has. */
  readonly creds: string | undefined;
  /** What the certificate of the destination has to name, if not the host. */
  readonly hostname: string | undefined;
}

export interface SendTlsFlags {
  readonly tls: boolean;
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
}

export const NO_SEND_TLS: SendTls = { creds: undefined, hostname: undefined };

/** `--object`. */
export function objectOption(command: Command): Command {
  return command.option(
    "--object <type,id=ID,...>",
    "make an object for TLS, as in QEMU: tls-creds-x509,id=tls0,dir=DIRECTORY,endpoint=client; may be repeated",
    value.each(value.object),
  );
}

/** @param prefix of the flags: a relay has others for sending. */
export function arrivalTlsOptions(command: Command, prefix: "" | "intake-"): Command {
  return command
    .option(`--${prefix}tls-creds <id>`, "take sources over TLS alone, with the credentials of this --object")
    .option(
      `--${prefix}tls-authz <id>`,
      "take only sources whose certificate this --object allows (authz-simple, authz-list)",
    );
}

/**
 * Without credentials there is no TLS, and no certificate that the authorization object could look at.
 * @param prefix of the flags. Errors: CommanderError where everybody would be let in in spite of it.
 */
export function arrivalTlsOf(
  command: Command,
  { creds, authz }: ArrivalTls,
  prefix: "" | "intake-" | "monitor-",
): ArrivalTls {
  if (authz !== undefined && (creds === undefined || creds === ""))
    command.error(`error: option '--${prefix}tls-authz <id>' needs '--${prefix}tls-creds <id>'`);
  return { creds, authz };
}

/** The same for clients of monitors. Errors: CommanderError for TLS that none of `addresses` would have, too. */
export function monitorTlsOf(
  command: Command,
  given: ArrivalTls,
  addresses: readonly { readonly kind: string }[],
): ArrivalTls {
  const tls = arrivalTlsOf(command, given, "monitor-");
  if (tls.creds !== undefined && !addresses.some(({ kind }) => kind === "tcp"))
    command.error("error: option '--monitor-tls-creds <id>' needs '--qmp' or '--monitor' at tcp:HOST:PORT");
  return tls;
}

export function sendTlsOptions(command: Command): Command {
  return command
    .option("--tls-creds <id>", "send over TLS, with the credentials of this object of the agent")
    .option("--tls-hostname <name>", "what the destination's certificate is for, if not the host of the URI")
    .addOption(new Option("--no-tls", "send without TLS, also if an earlier migration had it"));
}

/** Errors: CommanderError where flags contradict each other. */
export function sendTlsOf(command: Command, { tls, tlsCreds, tlsHostname }: SendTlsFlags): SendTls {
  if (!tls) {
    if (tlsCreds !== undefined || tlsHostname !== undefined) {
      command.error("error: option '--no-tls' excludes '--tls-creds <id>' and '--tls-hostname <name>'");
    }
    return { creds: "", hostname: undefined };
  }
  return { creds: tlsCreds, hostname: tlsHostname };
}

/** The parameters that stand for the flags. Credentials without a name go with the host of the URI. */
export function tlsParameters({ creds, hostname }: SendTls): Readonly<Record<string, string>> {
  const name = hostname ?? (creds === undefined ? undefined : "");
  return {
    ...(creds === undefined ? {} : { "tls-creds": creds }),
    ...(name === undefined ? {} : { "tls-hostname": name }),
  };
}

/** With the paths made absolute: an agent has another working directory than the command. */
export function absoluteObject(properties: ObjectProperties): ObjectProperties {
  const paths = ["dir", "filename"].flatMap((key) => {
    const path = properties[key];
    return typeof path === "string" && path !== "" ? [[key, resolve(path)] as const] : [];
  });
  return { ...properties, ...Object.fromEntries(paths) };
}

/** Makes the objects of a command line. Errors: BAD_PARAMETER, BAD_CREDENTIALS. */
export async function openObjects(all: readonly ObjectProperties[]): Promise<SecurityObjects> {
  const objects = new SecurityObjects();
  for (const properties of all) await objects.add(properties);
  return objects;
}

/** What this side has when it connects to `uri`. Errors: BAD_PARAMETER; those of `parseUri`. */
export function clientTls(
  objects: SecurityObjects,
  { creds, hostname }: SendTls,
  uri: string,
): ClientTls | undefined {
  const parameters = { "tls-creds": creds ?? "", "tls-hostname": hostname ?? "", "tls-authz": "" };
  return objects.client(parameters, parseUri(uri, "outgoing"));
}

/** What those have to have that connect to `uri`. Errors: BAD_PARAMETER; those of `parseUri`. */
export function arrivalTls(
  objects: SecurityObjects,
  { creds, authz }: ArrivalTls,
  uri: string,
): ServerTls | undefined {
  const parameters = { "tls-creds": creds ?? "", "tls-hostname": "", "tls-authz": authz ?? "" };
  return objects.server(parameters, parseUri(uri, "incoming"));
}
