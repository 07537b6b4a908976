import type {
  IncomingInfo,
  MigrationInfo,
  RamInfo,
  SocketAddress,
  XbzrleInfo,
} from "@peregrine/shared-state";

/** What `query-migrate` may tell, whatever the status is. */
interface Figures {
  readonly status?: string;
  readonly "error-desc"?: string;
  readonly "blocked-reasons"?: readonly string[];
  readonly "total-time"?: number;
  readonly "expected-downtime"?: number;
  readonly downtime?: number;
  readonly "setup-time"?: number;
  readonly ram?: RamInfo;
  readonly disk?: Pick<RamInfo, "transferred" | "remaining" | "total">;
  readonly "xbzrle-cache"?: XbzrleInfo;
  readonly "cpu-throttle-percentage"?: number;
  readonly "socket-address"?: readonly SocketAddress[];
}

/** The text of `info migrate`: QEMU's lines, without those of what cannot be changed here. */
export function migrationText(info: MigrationInfo | IncomingInfo): string {
  const figures: Figures = info;
  return [
    ...blockerLines(figures["blocked-reasons"]),
    ...statusLines(figures),
    ...ramLines(figures.ram),
    ...diskLines(figures.disk),
    ...cacheLines(figures["xbzrle-cache"]),
    ...line("cpu throttle percentage", figures["cpu-throttle-percentage"]),
    ...socketLines(figures["socket-address"]),
  ]
    .map((text) => `${text}\n`)
    .join("");
}

function blockerLines(reasons: readonly string[] | undefined): string[] {
  if (reasons === undefined) return [];
  return ["Outgoing migration blocked:", ...reasons.map((reason) => `  ${reason}`)];
}

function statusLines(figures: Figures): string[] {
  const { status, "error-desc": error } = figures;
  if (status === undefined) return [];
  return [
    `Migration status: ${status}${error === undefined ? "" : ` (${error})`}`,
    ...line("total time", whole(figures["total-time"] ?? 0), "ms"),
    ...line("expected downtime", whole(figures["expected-downtime"]), "ms"),
    ...line("downtime", whole(figures.downtime), "ms"),
    ...line("setup", whole(figures["setup-time"]), "ms"),
  ];
}

function ramLines(ram: RamInfo | undefined): string[] {
  if (ram === undefined) return [];
  return [
    ...line("transferred ram", kilobytes(ram.transferred), "kbytes"),
    ...line("throughput", ram.mbps.toFixed(2), "mbps"),
    ...line("remaining ram", kilobytes(ram.remaining), "kbytes"),
    ...line("total ram", kilobytes(ram.total), "kbytes"),
    ...line("duplicate", ram.duplicate, "pages"),
    ...line("skipped", ram.skipped, "pages"),
    ...line("normal", ram.normal, "pages"),
    ...line("normal bytes", kilobytes(ram["normal-bytes"]), "kbytes"),
    ...line("dirty sync count", ram["dirty-sync-count"]),
    ...line("page size", kilobytes(ram["page-size"]), "kbytes"),
    ...line("multifd bytes", kilobytes(ram["multifd-bytes"]), "kbytes"),
    ...line("pages-per-second", ram["pages-per-second"]),
    ...line("dirty pages rate", unlessZero(ram["dirty-pages-rate"]), "pages"),
    ...line("precopy ram", kilobytes(unlessZero(ram["precopy-bytes"])), "kbytes"),
    ...line("downtime ram", kilobytes(unlessZero(ram["downtime-bytes"])), "kbytes"),
  ];
}

function diskLines(disk: Figures["disk"]): string[] {
  if (disk === undefined) return [];
  return [
    ...line("transferred disk", kilobytes(disk.transferred), "kbytes"),
    ...line("remaining disk", kilobytes(disk.remaining), "kbytes"),
    ...line("total disk", kilobytes(disk.total), "kbytes"),
  ];
}

function cacheLines(cache: XbzrleInfo | undefined): string[] {
  if (cache === undefined) return [];
  return [
    ...line("cache size", cache["cache-size"], "bytes"),
    ...line("xbzrle transferred", kilobytes(cache.bytes), "kbytes"),
    ...line("xbzrle pages", cache.pages, "pages"),
    ...line("xbzrle cache miss", cache["cache-miss"], "pages"),
    ...line("xbzrle cache miss rate", cache["cache-miss-rate"].toFixed(2)),
    ...line("xbzrle encoding rate", cache["encoding-rate"].toFixed(2)),
    ...line("xbzrle overflow", cache.overflow),
  ];
}

function socketLines(addresses: readonly SocketAddress[] | undefined): string[] {
  if (addresses === undefined) return [];
  return ["socket address: [", ...addresses.map((address) => `\t${socketText(address)}`), "]"];
}

function socketText(address: SocketAddress): string {
  if (address.type === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `tcp:${host}:${address.port}`;
}

function line(name: string, value: number | string | undefined, unit = ""): string[] {
  return value === undefined ? [] : [`${name}: ${value} ${unit}`.trimEnd()];
}

function whole(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value);
}

function kilobytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.floor(bytes / 1024);
}

function unlessZero(value: number): number | undefined {
  return value === 0 ? undefined : value;
}
