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

/** Moves within each release, and from 7.2 to 10.0, with devices, transports and starts spread over them. */
export function casesOf(
  within: (release: QemuRelease) => readonly Move[],
  upwards: readonly Move[],
): readonly Case[] {
  const moves = [
    ...[qemu100, qemu72].flatMap((release) =>
      within(release).map((move) => ({ from: release, to: release, ...move })),
    ),
    ...upwards.map((move) => ({ from: qemu72, to: qemu100, ...move })),
  ];
  return moves.map((move, index) => {
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
}
