import type { Preopen } from "@peregrine/machine-wasm";
import { DRIVE_ID } from "@peregrine/machine-wasm";
import { parseDashboardAddress } from "@peregrine/dashboard/address";
import type { DashboardAddress } from "@peregrine/dashboard/address";
import type { DriveOptions } from "@peregrine/node-host";
import { parseMonitorAddress, parseSize } from "@peregrine/monitor";
import type { MonitorKind } from "@peregrine/monitor";
import { MigrationError, parseMac } from "@peregrine/protocol";
import type { MultifdCompression } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { parseNetdev, parseObject } from "@peregrine/transport";
import type { ObjectProperties } from "@peregrine/transport";
import { InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import type { MonitorTarget, NicOptions } from "./command-options.ts";
import { parseMetricsAddress } from "./metrics/metrics-address.ts";
import type { MetricsAddress } from "./metrics/metrics-address.ts";
import { checkGuestName } from "./guest-name.ts";

/** Connections beside the first one: what the wire can number. */
const MOST_CHANNELS = 255;

const PARALLEL = /^(?<channels>\d+)(?:,(?<compression>none|zlib|zstd))?$/u;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

// What these throw, the parser reports with the name of the option.

/** `HOST::GUEST`. The host's path is made absolute: it is also looked for where the guest is migrated to. */
export function directory(text: string): Preopen {
  const at = text.indexOf("::");
  const [hostPath, guestPath] = [text.slice(0, at), text.slice(at + 2)];
  if (at < 1 || guestPath === "") throw new InvalidArgumentError("It has to be HOST::GUEST.");
  return { hostPath: resolve(hostPath), guestPath };
}

/** `KEY=VALUE,KEY=VALUE`. A comma in a value is doubled. `form` is what is said of a text that does not fit. */
function properties<K extends string>(
  text: string,
  keys: readonly K[],
  form: string,
): ReadonlyMap<K, string> {
  const values = new Map<K, string>();
  // No text of a command line has a zero byte.
  for (const part of text.replaceAll(",,", "\0").split(",")) {
    const at = part.indexOf("=");
    const [name, value] = [part.slice(0, at), part.slice(at + 1).replaceAll("\0", ",")];
    const key = keys.find((one) => one === name);
    if (key === undefined || value === "" || values.has(key)) throw new InvalidArgumentError(form);
    values.set(key, value);
  }
  return values;
}

const DRIVE_FORM = "It has to be id=ID,file=PATH[,backing=PATH][,lock=off].";

/** `id=ID,file=PATH[,backing=PATH][,lock=off]`. A comma in a path is doubled. Paths are made absolute. */
export function drive(text: string): DriveOptions {
  const keys = ["id", "file", "backing", "lock"] as const;
  const values = properties(text, keys, DRIVE_FORM);
  const [id, file, backing, lock = "on"] = keys.map((key) => values.get(key));
  if (id === undefined || file === undefined || !["on", "off"].includes(lock))
    throw new InvalidArgumentError(DRIVE_FORM);
  if (!DRIVE_ID.test(id)) {
    throw new InvalidArgumentError(
      "The id has 1 to 63 letters, digits, '_', '.' or '-' and begins with a letter or digit.",
    );
  }
  const absolute = backing === undefined ? undefined : resolve(backing);
  return { id, file: resolve(file), backing: absolute, lock: lock === "on" };
}

const NIC_FORM = "It has to be mac=52:54:00:12:34:56,netdev=NETDEV[,id=ID].";

/** `mac=MAC,netdev=NETDEV[,id=ID]`. A comma in a path is doubled. */
export function nic(text: string): NicOptions {
  const keys = ["mac", "netdev", "id"] as const;
  const values = properties(text, keys, NIC_FORM);
  const [mac, netdev, id] = keys.map((key) => values.get(key));
  if (mac === undefined || netdev === undefined) throw new InvalidArgumentError(NIC_FORM);
  return translating(() => {
    parseMac(mac);
    parseNetdev(netdev);
    return { mac, netdev, id };
  });
}

/** `TYPE,id=ID,KEY=VALUE` or JSON. A comma in a value is doubled. */
export function object(text: string): ObjectProperties {
  return translating(() => parseObject(text));
}

/** `KEY=VALUE`. */
export function environmentEntry(text: string): string {
  if (text.indexOf("=") < 1) throw new InvalidArgumentError("It has to be KEY=VALUE.");
  return text;
}

export function guestName(text: string): string {
  return translating(() => checkGuestName(text));
}

/** A guest's name, which has no colon, or where a monitor of QMP listens. */
export function monitorTarget(text: string): MonitorTarget {
  if (!text.includes(":")) return { kind: "guest", name: guestName(text) };
  return { kind: "address", uri: monitorUri(text) };
}

/** Where a client of QMP connects. */
export function monitorUri(text: string): string {
  translating(() => {
    const { kind } = parseMonitorAddress(text, "qmp");
    if (kind !== "tcp" && kind !== "unix")
      throw new InvalidArgumentError("It has to be tcp:HOST:PORT or unix:PATH.");
  });
  return text;
}

/** Where a monitor listens. */
export function monitorAddress(kind: MonitorKind): (text: string) => string {
  return (text) => {
    translating(() => parseMonitorAddress(text, kind));
    return text;
  };
}

/** Where metrics are served. */
export function metricsAddress(text: string): MetricsAddress {
  return translating(() => parseMetricsAddress(text));
}

/** Where a dashboard listens. */
export function dashboardAddress(text: string): DashboardAddress {
  return translating(() => parseDashboardAddress(text));
}

/** As a browser tells the origin of a page. */
export function origin(text: string): string {
  if (URL.parse(text)?.origin === text) return text;
  throw new InvalidArgumentError(
    "It has to be an origin such as https://example.org or http://10.0.0.1:8080.",
  );
}

/** Bytes of memory. */
export function memorySize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new InvalidArgumentError("It has to be bytes, such as 512M or 16G.");
}

/** Of the pages that are kept for deltas. */
export interface CacheSize {
  /** A power of two; undefined: as it is set. */
  readonly bytes: number | undefined;
}

/** Bytes, rounded down to a power of two; nothing leaves the size as it is. */
export function cacheSize(text: string): CacheSize {
  if (text === "") return { bytes: undefined };
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= PAGE_SIZE) return { bytes: 2 ** Math.floor(Math.log2(bytes)) };
  throw new InvalidArgumentError(`It has to be at least ${PAGE_SIZE} bytes, such as 64M.`);
}

/** Connections for pages, and how pages are compressed on them. */
export interface Parallel {
  readonly channels: number;
  readonly compression: MultifdCompression;
}

/** `N` or `N,METHOD`. */
export function parallel(text: string): Parallel {
  const { channels: number, compression = "none" } = PARALLEL.exec(text)?.groups ?? {};
  if (number === undefined) {
    throw new InvalidArgumentError("It has to be a number, or one with a method, such as 4,zstd.");
  }
  return { channels: channels(number), compression: compression as MultifdCompression };
}

/** Connections beside the first one. */
export function channels(text: string): number {
  return wholeNumber(1, MOST_CHANNELS)(text);
}

/** @returns 16 bytes. */
export function uuid(text: string): Uint8Array {
  if (!UUID.test(text)) {
    throw new InvalidArgumentError("It has to be a UUID such as 550e8400-e29b-41d4-a716-446655440000.");
  }
  return new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
}

/** Bytes per second. */
export function bandwidth(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new InvalidArgumentError(
    "It has to be bytes per second, such as 1000000, 100k, 64M or 1G; 0 is unlimited.",
  );
}

export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const number = /^\d+$/u.test(text) ? Number(text) : Number.NaN;
    if (number >= from && number <= to) return number;
    throw new InvalidArgumentError(`It has to be a whole number from ${from} to ${to}.`);
  };
}

/** Of options that may be given several times. */
const REPEATABLE = new WeakSet<object>();

/** For an option that may be given several times. */
export function each<T>(parse: (text: string) => T): (text: string, before?: readonly T[]) => readonly T[] {
  const parseOneMore = (text: string, before: readonly T[] = []): readonly T[] => [...before, parse(text)];
  REPEATABLE.add(parseOneMore);
  return parseOneMore;
}

/** Whether a parser is one that {@link each} has made. */
export function isRepeatable(parse: object | undefined): boolean {
  return parse !== undefined && REPEATABLE.has(parse);
}

/** A command of the shell. */
export function shellCommand(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("It has to be a command.");
  return text;
}

function translating<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new InvalidArgumentError(MigrationError.from(error).message);
  }
}
