/** How the migration threads get at the drives: the module that a DriveAccess names. */
import { MigrationError } from "@peregrine/protocol";
import { CHUNK_SIZE } from "@peregrine/shared-state";
import type { OpenIncomingDrives, OpenOutgoingDrives } from "@peregrine/shared-state";
import { DriveContents } from "./drive-contents.ts";
import type { DriveMemory } from "./drive-memory.ts";
import { StagedDrive, type StagingData } from "./staged-drive.ts";

export const openOutgoingDrives: OpenOutgoingDrives = (data) => {
  const drives = data as readonly DriveMemory[];
  const contents = drives.map((memory) => new DriveContents(memory));
  return Promise.resolve({
    drives: drives.map(({ id, length }) => ({ id, length })),
    holds: (drive, chunk) => contents[drive]!.holds(chunk),
    harvest: (into) => contents.reduce((added, drive, n) => added + drive.takeMarks(into[n]!), 0),
    read: async (drive, chunk, target) => {
      const position = chunk * CHUNK_SIZE;
      const length = Math.min(CHUNK_SIZE, contents[drive]!.length - position);
      try {
        await contents[drive]!.readLater(target.subarray(0, length), position);
      } catch (cause) {
        const { message } = cause as Error;
        throw new MigrationError("BAD_DRIVE", `The drive '${drives[drive]!.id}' cannot be read: ${message}`, {
          cause,
        });
      }
      target.fill(0, length, CHUNK_SIZE);
    },
    // The files are the main thread's.
    close: () => Promise.resolve(),
  });
};

export const openIncomingDrives: OpenIncomingDrives = (data) => {
  const drives = data as readonly StagingData[];
  const staged = drives.map((drive) => new StagedDrive(drive));
  return Promise.resolve({
    drives: drives.map(({ memory: { id, length } }) => ({ id, length })),
    write: (drive, chunk, bytes) => staged[drive]!.write(chunk, bytes),
    writeZeros: (drive, chunk) => staged[drive]!.writeZeros(chunk),
    sync: async () => {
      for (const drive of staged) await drive.sync();
    },
    // The files are the main thread's.
    close: () => Promise.resolve(),
  });
};
