import { MigrationError } from "@peregrine/protocol";
import type { ParameterName, ParameterValues } from "@peregrine/shared-state";
import { parseSize } from "../size.ts";

interface ParameterText {
  /** Behind the value when it is shown. */
  readonly unit: string;
  /** A text that may be empty. Default: false. */
  readonly quoted?: true;
  /** The value that QMP takes. Errors: BAD_PARAMETER. */
  readonly read: (text: string, name: string) => unknown;
}

/** Every parameter as a person reads and writes it, in the order in which they are listed. */
const PARAMETERS: Readonly<Record<ParameterName, ParameterText>> = {
  "announce-initial": { unit: " ms", read: count },
  "announce-max": { unit: " ms", read: count },
  "announce-rounds": { unit: "", read: count },
  "announce-step": { unit: " ms", read: count },
  "throttle-trigger-threshold": { unit: "", read: count },
  "cpu-throttle-initial": { unit: "", read: count },
  "cpu-throttle-increment": { unit: "", read: count },
  "cpu-throttle-tailslow": { unit: "", read: onOrOff },
  "max-cpu-throttle": { unit: "", read: count },
  "tls-creds": { unit: "", read: (text) => text, quoted: true },
  "tls-hostname": { unit: "", read: (text) => text, quoted: true },
  "max-bandwidth": { unit: " bytes/second", read: mebibytes },
  "avail-switchover-bandwidth": { unit: " bytes/second", read: mebibytes },
  "downtime-limit": { unit: " ms", read: count },
  "multifd-channels": { unit: "", read: count },
  "multifd-compression": { unit: "", read: (text) => text },
  "multifd-zlib-level": { unit: "", read: count },
  "multifd-zstd-level": { unit: "", read: count },
  "xbzrle-cache-size": { unit: " bytes", read: count },
  "tls-authz": { unit: "", read: (text) => text, quoted: true },
};

const NAMES = Object.keys(PARAMETERS) as readonly ParameterName[];

/** One line for each parameter. */
export function parameterLines(values: ParameterValues): string {
  return NAMES.map((name) => {
    const { unit, quoted } = PARAMETERS[name];
    const text = shown(values[name]);
    return `${name}: ${quoted === true ? `'${text}'` : text}${unit}\n`;
  }).join("");
}

/** A parameter and its value, as QMP takes it. Errors: BAD_PARAMETER. */
export function readParameter(name: string, text: string): Readonly<Record<string, unknown>> {
  if (!Object.hasOwn(PARAMETERS, name)) throw refusal(`invalid parameter value: ${name}`);
  return { [name]: PARAMETERS[name as ParameterName].read(text, name) };
}

/** Bytes; a number without a suffix is MiB. Errors: BAD_PARAMETER. */
export function mebibytes(text: string): number {
  const bytes = parseSize(text, "m");
  if (bytes === undefined) throw refusal(`Invalid size ${text}`);
  return bytes;
}

/** Errors: BAD_PARAMETER. */
export function onOrOff(text: string, name: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw refusal(`Parameter '${name}' expects 'on' or 'off'`);
}

function count(text: string, name: string): number {
  const value = parseSize(text);
  if (value !== undefined) return value;
  throw refusal(`Parameter '${name}' expects a non-negative number below 2^64`);
}

function shown(value: number | string | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

function refusal(message: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", message);
}
