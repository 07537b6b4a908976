import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { useDirectory } from "../../test/directory.ts";
import { CODECS } from "../../test/inspected.ts";
import { changedPage, firstPass, PAGE, pageOf, smallStream } from "../../test/small-stream.ts";
import { differences } from "../stream-diff.ts";
import { readStreamContents } from "./stream-contents.ts";
import { openStreamFiles } from "./stream-files.ts";
import type { StreamFiles } from "./stream-files.ts";

const inDirectory = useDirectory();

afterEach(() => void vi.unstubAllEnvs());

function opener(name: string, bytes: Uint8Array): () => Promise<StreamFiles> {
  writeFileSync(inDirectory(name), bytes);
  return () => openStreamFiles([inDirectory(name)]);
}

const WITH_DELTAS = smallStream();
/** The same contents of memory, without deltas. */
const PLAIN = smallStream({
  end: (w, encoder) => {
    encoder.page(w, "pc.ram", PAGE, changedPage());
    encoder.page(w, "pc.ram", 3 * PAGE, pageOf(3));
  },
});
const FIRST_PASS = smallStream({ part: firstPass, end: () => {} });

test("a page that came as a delta is compared as it is with it", async () => {
  // Other processes have scratch files of their own in the usual one.
  const temporary = inDirectory("temporary");
  mkdirSync(temporary);
  vi.stubEnv("TMPDIR", temporary);
  const deltas = await readStreamContents(opener("a", WITH_DELTAS), CODECS);
  const plain = await readStreamContents(opener("b", PLAIN), CODECS);
  const first = await readStreamContents(opener("c", FIRST_PASS), CODECS);
  expect([...differences(deltas, plain)]).toEqual([]);
  expect([...differences(deltas, first)]).toMatchObject([{ item: "pages", block: "pc.ram", differing: 2 }]);
  expect(readdirSync(temporary)).toEqual([]);
});

test("deltas in a stream that can be read only once are refused with what to do", async () => {
  const open = opener("a", WITH_DELTAS);
  const once = async (): Promise<StreamFiles> => {
    const files = await open();
    return { ...files, main: { ...files.main, repeatable: false } };
  };
  await expect(readStreamContents(once, CODECS)).rejects.toMatchObject({
    code: "BAD_PARAMETER",
    message: expect.stringContaining("save it in a file first"),
  });
});

test("a fault names the file that it is in", async () => {
  const cut = opener("cut", WITH_DELTAS.subarray(0, 5000));
  await expect(readStreamContents(cut, CODECS)).rejects.toMatchObject({
    code: "TRUNCATED",
    message: expect.stringContaining(`'${inDirectory("cut")}': The stream ended where`),
    offset: 5000,
  });
});
