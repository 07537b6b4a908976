import { qemu100, qemu72, type QemuRelease } from "./releases.ts";
import type { Intake, Outgoing } from "./settings.ts";
import type { Transport } from "./virtual-machine.ts";

/** A move of a virtual machine: `into` Peregrine and `out` of it. */
export interface Move {
  /** Machine type. */
  readonly type: string;
  readonly into: Intake;
  readonly out: Outgoing;
}

export interface Case extends Move {
  readonly title: string;
  readonly from: QemuRelease;
  readonly to: QemuRelease;
  /** Whether the machine has a virtio disk and a virtio network interface. */
  readonly devices: boolean;
  readonly transport: Transport;
  /** Whether the guest starts at its destination by itself. */
  readonly starts: boolean;
}

/** Of CI, whose time is limited. */
const IS_SHORT = process.env["PEREGRINE_SHORT"] !== undefined;

/** Each of them with both releases; in a short run with the one and the other in turn. */
export function withReleases<T extends object>(
  list: readonly T[],
): readonly (T & { readonly release: QemuRelease })[] {
  return list.flatMap((one, index) => {
    const releases = IS_SHORT ? [[qemu100, qemu72][index % 2]!] : [qemu100, qemu72];
    return releases.map((release) => ({ ...one, release }));
  });
}

/**
 * In a short run, as few of them as have every setting of each release once. Moves within each release, and from 7.2 to 10.0, with devices, transports
 * and starts spread over them.
 */
export function casesOf(
  within: (release: QemuRelease) => readonly Move[],
  upwards: readonly Move[],
  isShort = IS_SHORT,
): readonly Case[] {
  const moves = [
    ...[qemu100, qemu72].flatMap((release) =>
      within(release).map((move) => ({ from: release, to: release, ...move })),
    ),
    ...upwards.map((move) => ({ from: qemu72, to: qemu100, ...move })),
  ];
  const cases = moves.map((move, index) => {
    const spread = {
      devices: index % 2 === 0,
      transport: index % 3 === 0 ? ("tcp" as const) : ("unix" as const),
      starts: index % 5 < 2,
    };
    const { from, to, type, into, out } = move;
    const title = [
      `${from.version} to ${to.version}, ${type}, ${into.name} in, ${out.name} out, ${spread.transport}`,
      ...(spread.devices ? ["devices"] : []),
      ...(spread.starts ? ["starts by itself"] : []),
    ].join(", ");
    return { ...move, ...spread, title };
  });
  return isShort ? covering(cases) : cases;
}

/** Leaves out whatever has nothing that the cases before it do not have. */
function covering(cases: readonly Case[]): readonly Case[] {
  const seen = new Set<string>();
  return cases.filter(({ from, to, type, into, out, devices, transport, starts }) => {
    const settings = [
      `${from.version} sends ${into.name}`,
      `${to.version} takes ${out.name}`,
      `${from.version} to ${to.version}, ${type}`,
      `${to.version}, ${devices ? "devices" : "none"}`,
      `${to.version}, ${transport}`,
      `${to.version}, ${starts ? "starts" : "held"}`,
    ];
    const isNew = settings.some((setting) => !seen.has(setting));
    for (const setting of settings) seen.add(setting);
    return isNew;
  });
}
