/**
 * A process that holds a drive. Its arguments: the drive as JSON, and if it is to write, how the first operation is
 * numbered. It says `held`, and then after each sync how many operations were done.
 */
import { writeSync } from "node:fs";
import type { DriveOptions } from "../src/drives/drive-options.ts";
import { DriveContents } from "../src/drives/drive-contents.ts";
import { NodeDrives } from "../src/drives/node-drives.ts";
import { OPERATIONS_PER_SYNC, operation } from "./drive-operations.ts";

const [, , options, first] = process.argv;
const drives = await NodeDrives.open([JSON.parse(options!) as DriveOptions]);
writeSync(1, "held\n");
if (first === undefined) {
  process.stdin.resume();
} else {
  const contents = new DriveContents(drives.memories[0]!);
  for (let number = Number(first); ; number++) {
    const { position, bytes } = operation(number, contents.length);
    contents.write(bytes, position);
    if (number % OPERATIONS_PER_SYNC !== 0) continue;
    contents.sync("data");
    writeSync(1, `${number}\n`);
  }
}
