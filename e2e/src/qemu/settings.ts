import type { MigrationInfo, MigrationSettings } from "./virtual-machine.ts";

/** Channels beside the main one. */
const CHANNELS = 2;

/** How a QEMU sends, and what `peregrine receive` or `relay` is to be told of it. */
export interface Intake {
  readonly name: string;
  readonly source: MigrationSettings;
  readonly channels: number;
  /** What shows that it was used: more than 0 at the end. */
  readonly used: (info: MigrationInfo) => number | undefined;
}

/** How `peregrine migrate` or `relay` sends, and what the QEMU that takes it in is to be told of it. */
export interface Outgoing {
  readonly name: string;
  readonly options: readonly string[];
  readonly destination: MigrationSettings;
  /** What a relay says at the end. */
  readonly outcome: RegExp;
}

const MOVED = /moved in /;

type Compression = "none" | "zlib" | "zstd";

const inline = ({ ram }: MigrationInfo): number | undefined => ram?.["normal"];

export const intake = {
  plain: { name: "plain", source: {}, channels: 0, used: inline },
  returnPath: { name: "return-path", source: { capabilities: ["return-path"] }, channels: 0, used: inline },
  xbzrle: {
    name: "xbzrle",
    source: { capabilities: ["xbzrle"], parameters: { "xbzrle-cache-size": 64 << 20 } },
    channels: 0,
    used: (info) => info["xbzrle-cache"]?.["pages"],
  },
  none: multifdIntake("none", []),
  zlib: multifdIntake("zlib", []),
  zstd: multifdIntake("zstd", ["return-path"]),
} satisfies Record<string, Intake>;

export const outgoing = {
  /** With the return path, as it is by default. */
  plain: { name: "plain", options: [], destination: {}, outcome: MOVED },
  noReturnPath: {
    name: "no return-path",
    options: ["--no-return-path"],
    destination: {},
    outcome: /sent in .*; nobody was asked whether it has arrived/,
  },
  xbzrle: {
    name: "xbzrle",
    options: ["--xbzrle"],
    destination: { capabilities: ["xbzrle"] },
    outcome: MOVED,
  },
  none: multifdOutgoing("none"),
  zlib: multifdOutgoing("zlib"),
  zstd: multifdOutgoing("zstd"),
} satisfies Record<string, Outgoing>;

function multifdParameters(compression: Compression): NonNullable<MigrationSettings["parameters"]> {
  return { "multifd-channels": CHANNELS, "multifd-compression": compression };
}

function multifdIntake(compression: Compression, capabilities: readonly string[]): Intake {
  return {
    name: ["multifd", compression, ...capabilities].join(" "),
    source: { capabilities: ["multifd", ...capabilities], parameters: multifdParameters(compression) },
    channels: CHANNELS,
    used: ({ ram }) => ram?.["multifd-bytes"],
  };
}

function multifdOutgoing(compression: Compression): Outgoing {
  return {
    name: `multifd ${compression}`,
    options: ["--parallel", `${CHANNELS},${compression}`],
    destination: { capabilities: ["multifd"], parameters: multifdParameters(compression) },
    outcome: MOVED,
  };
}
