import { MigrationError } from "@peregrine/protocol";
import { defineState, type Drive, type MachineDrives, type StateOf } from "@peregrine/shared-state";
import { DRIVES_PATH, DRIVES_ROOT, type Preopen, type WasiConfig } from "./wasi/index.ts";

/** Most drives of a guest. */
export const MAX_DRIVES = 64;

/** How a drive may be named: its name is that of a file, and of a device on the wire. */
export const DRIVE_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/u;

/** The drives of a guest as its host holds them. */
export interface GuestDrives extends MachineDrives {
  /** Writes back what the guest wrote, if they are held, and gives everything up. Errors: WRITE_FAILED. */
  dispose(): Promise<void>;
}

/** Early section of a guest with drives: the destination has to have been given the same. */
export const WASM_DRIVES = defineState({
  name: "wasm-drives",
  version: 1,
  fields: [
    { name: "drive_count", type: "uint32" },
    {
      name: "drives",
      type: "array",
      count: { from: "drive_count", max: MAX_DRIVES },
      of: {
        name: "wasm-drive",
        version: 1,
        fields: [
          { name: "id_length", type: "uint16" },
          { name: "id", type: "buffer", length: { from: "id_length", max: 63 } },
          { name: "length", type: "uint64" },
        ],
      },
    },
  ],
});

export type WasmDrivesState = StateOf<typeof WASM_DRIVES>;

export function saveDrives(drives: readonly Drive[]): WasmDrivesState {
  return {
    drive_count: drives.length,
    drives: drives.map(({ id, length }) => {
      const bytes = new TextEncoder().encode(id);
      return { id_length: bytes.length, id: bytes, length: BigInt(length) };
    }),
  };
}

/**
 * Compares the guest's drives with those that this host was given for it, in whatever order.
 * Errors: BAD_SECTION; BAD_DRIVE, listing every difference.
 */
export function checkDrives(state: WasmDrivesState, own: readonly Drive[]): void {
  const problems: string[] = [];
  const guests = new Set<string>();
  for (const { id: bytes, length } of state.drives) {
    const id = new TextDecoder().decode(bytes);
    if (!DRIVE_ID.test(id) || guests.has(id))
      throw badSection(`a drive cannot be named '${id}', or is named twice`);
    guests.add(id);
    const here = own.find((drive) => drive.id === id);
    if (here === undefined)
      problems.push(`its drive '${id}' of ${length} bytes is missing; give it by --drive`);
    else if (BigInt(here.length) !== length)
      problems.push(`its drive '${id}' has ${length} bytes at the source and ${here.length} here`);
  }
  if (guests.size === 0) throw badSection("it lists no drive");
  for (const { id } of own) {
    if (!guests.has(id)) problems.push(`it has no drive '${id}'; leave out that --drive`);
  }
  if (problems.length > 0) throw differing(problems);
}

/** For a guest that has no drives at all. Errors: BAD_DRIVE. */
export function checkNoDrives(own: readonly Drive[]): void {
  if (own.length > 0) throw differing(own.map(({ id }) => `it has no drive '${id}'; leave out that --drive`));
}

/** What a guest with these drives is started with. Errors: BAD_PARAMETER when a directory is in their place. */
export function withDrives(config: WasiConfig, drives: readonly Drive[]): WasiConfig {
  if (drives.length === 0) return config;
  requireRoomForDrives(config.preopens, drives);
  return { ...config, preopens: [...config.preopens, { guestPath: DRIVES_PATH, hostPath: DRIVES_ROOT }] };
}

/** Errors: BAD_PARAMETER when a directory is where the guest finds its drives. */
export function requireRoomForDrives(preopens: readonly Preopen[], drives: readonly Drive[]): void {
  if (drives.length === 0 || !preopens.some(({ guestPath }) => guestPath === DRIVES_PATH)) return;
  throw new MigrationError(
    "BAD_PARAMETER",
    `A guest with drives finds them in ${DRIVES_PATH}, so no directory can be there; give the directory another path`,
  );
}

function differing(problems: readonly string[]): MigrationError {
  return new MigrationError(
    "BAD_DRIVE",
    `The guest's drives are not those of this host: ${problems.join("; ")}`,
  );
}

function badSection(why: string): MigrationError {
  return new MigrationError("BAD_SECTION", `The peer sent a section that cannot be right: ${why}`, {
    section: WASM_DRIVES.name,
  });
}
