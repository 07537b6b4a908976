import { existsSync } from "node:fs";

/** A release of QEMU that the tests move machines from and to. */
export interface QemuRelease {
  readonly version: "7.2" | "10.0";
  readonly binary: string;
  /** Where it finds firmware and keymaps, if not by itself. */
  readonly options: readonly string[];
  /** The oldest machine type of its kind that it offers. */
  readonly oldestType: string;
}

const INSTALLER = "scripts/install-qemu.sh";

const QEMU_72 = process.env["PEREGRINE_QEMU_72"] ?? "/opt/qemu-7.2/usr/bin/qemu-system-x86_64";

export const qemu72: QemuRelease = {
  version: "7.2",
  binary: QEMU_72,
  // Unpacked and not installed: its own data, and Debian's firmware.
  options: ["-L", QEMU_72.replace(/bin\/[^/]*$/, "share/qemu"), "-L", "/usr/share/seabios"],
  oldestType: "pc-i440fx-1.4",
};

export const qemu100: QemuRelease = {
  version: "10.0",
  binary: process.env["PEREGRINE_QEMU_10"] ?? "/usr/bin/qemu-system-x86_64",
  options: [],
  oldestType: "pc-i440fx-2.4",
};

const missing = [qemu72, qemu100].filter(({ binary }) => !existsSync(binary));

/** True where a release is not to be had. Tests that need it are then skipped, and shown as skipped; in CI they fail. */
export const noQemu = missing.length > 0 && process.env["CI"] === undefined;

if (missing.length > 0) {
  const list = missing.map(({ version, binary }) => `QEMU ${version} is not at ${binary}`).join(", ");
  console.warn(`${list}: tests with real QEMU cannot run. ${INSTALLER} installs both on Debian 12.`);
}
