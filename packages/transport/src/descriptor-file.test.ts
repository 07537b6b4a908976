import fs from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DescriptorFile } from "./descriptor-file.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "peregrine-descriptor-"));
});

afterEach(() => rm(directory, { recursive: true }));

test("what has the number next keeps it when the file is closed once more", async () => {
  const descriptor = fs.openSync(join(directory, "first"), "w");
  const file = new DescriptorFile(descriptor);
  const closing = file.close();
  await closing;
  // What a test before has left may have closed meanwhile: smaller numbers come first.
  const opened: number[] = [];
  let next = -1;
  try {
    while (next < descriptor) opened.push((next = fs.openSync(join(directory, "next"), "w")));
    expect(next).toBe(descriptor);
    await file.close();
    await expect(file.write(Buffer.from("late"), 0, 4, 0)).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await expect(file.sync()).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    expect(fs.fstatSync(next).size).toBe(0);
  } finally {
    for (const one of opened) fs.closeSync(one);
  }
});

test("what is under way is done before it is closed", async () => {
  const path = join(directory, "file");
  const file = new DescriptorFile(fs.openSync(path, "w"));
  const bytes = Buffer.alloc(8 << 20, 7);
  const writing = file.write(bytes, 0, bytes.length, 0);
  const syncing = file.sync();
  await file.close();
  expect((await writing).bytesWritten).toBe(bytes.length);
  await syncing;
  expect((await readFile(path)).equals(bytes)).toBe(true);
});
