/** A thread that makes one write to a drive each time it is asked to. */
import { workerData } from "node:worker_threads";
import { DriveContents } from "../src/drives/drive-contents.ts";
import type { DriveMemory } from "../src/drives/drive-memory.ts";
import { operation } from "./drive-operations.ts";

export interface DriveWriterData {
  readonly memory: DriveMemory;
  /** Two words: the operation that is asked for, and the last one that is done. */
  readonly words: SharedArrayBuffer;
}

const { memory, words: shared } = workerData as DriveWriterData;
const contents = new DriveContents(memory);
const words = new Int32Array(shared);
for (let done = 0; ;) {
  Atomics.wait(words, 0, done);
  done = Atomics.load(words, 0);
  const { position, bytes } = operation(done, contents.length);
  contents.write(bytes, position);
  Atomics.store(words, 1, done);
}
