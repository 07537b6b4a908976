import { DEFAULT_LIMITS, encodeMultifdInit } from "@peregrine/protocol";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { useDirectory } from "../../test/directory.ts";
import { CODECS, inspected } from "../../test/inspected.ts";
import { libvirtFile } from "../../test/libvirt-file.ts";
import { mappedStream } from "../../test/mapped-stream.ts";
import { PAGE, pageOf, smallStream, written } from "../../test/small-stream.ts";
import { inspectStream } from "../inspect-stream.ts";
import { RamFile } from "./ram-file.ts";
import { openStreamFiles } from "./stream-files.ts";
import type { StreamFile } from "./stream-files.ts";

const inDirectory = useDirectory();
const STREAM = smallStream();
const CHANNEL = written((w) => encodeMultifdInit(w, { uuid: new Uint8Array(16), channel: 0 }));

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(inDirectory(name), bytes);
  return inDirectory(name);
}

async function contentsOf({ chunks }: StreamFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const chunk of chunks) pieces.push(chunk.slice());
  return Buffer.concat(pieces);
}

/** The only stream of a file, and what the file is. */
async function opened(
  bytes: Uint8Array,
): Promise<{ readonly main: StreamFile; readonly contents: Uint8Array }> {
  const files = await openStreamFiles([file("a", bytes)]);
  const { main } = files;
  try {
    return { main, contents: await contentsOf(main) };
  } finally {
    await files.close();
  }
}

test.each([
  ["as it is", STREAM, undefined],
  ["gzip", gzipSync(STREAM), "gzip"],
  ["zstd", zstdCompressSync(STREAM), "zstd"],
] as const)("a stream in a file, %s", async (_name, bytes, compression) => {
  const { main, contents } = await opened(bytes);
  expect(main).toMatchObject({ form: "main", fileOffset: 0, repeatable: true });
  expect(main.compression).toBe(compression);
  expect(Buffer.compare(contents, STREAM)).toBe(0);
});

test("a file of several MiB", async () => {
  const bytes = Buffer.concat([STREAM, Buffer.alloc(5_000_000, 0x5a)]);
  expect(Buffer.compare((await opened(bytes)).contents, bytes)).toBe(0);
  expect(Buffer.compare((await opened(zstdCompressSync(bytes))).contents, bytes)).toBe(0);
});

test.each([
  ["raw", 0, STREAM],
  ["gzip", 1, gzipSync(STREAM)],
  ["zstd", 5, zstdCompressSync(STREAM)],
  ["sparse", 6, STREAM],
] as const)("a libvirt save image, %s", async (format, number, stream) => {
  const image = libvirtFile({ stream, format: number });
  const { main, contents } = await opened(image);
  const streamOffset = image.length - stream.length;
  expect(main).toMatchObject({ form: "main", fileOffset: streamOffset });
  expect(main.libvirt).toMatchObject({ format, domain: "web & mail", streamOffset });
  expect(Buffer.compare(contents, STREAM)).toBe(0);
});

test("a libvirt save image that cannot be unpacked here is described, and then refused with what to do", async () => {
  const files = await openStreamFiles([file("a", libvirtFile({ stream: STREAM, format: 3 }))]);
  const { main } = files;
  expect(main.libvirt).toMatchObject({ format: "xz", domain: "web & mail" });
  await expect(contentsOf(main)).rejects.toMatchObject({
    code: "NOT_A_STREAM",
    message: expect.stringContaining("tail -c +513 FILE | xz -dc | peregrine inspect -"),
  });
  await files.close();
});

test("a main stream and its channels are told apart by what is in them", async () => {
  const paths = [file("1", CHANNEL), file("2", zstdCompressSync(STREAM)), file("3", CHANNEL)];
  const files = await openStreamFiles(paths);
  const { main, channels } = files;
  expect(main.name).toBe(`'${paths[1]}'`);
  expect(channels.map(({ name }) => name)).toEqual([`'${paths[0]}'`, `'${paths[2]}'`]);
  await files.close();
});

test.each([
  ["nothing but channels", () => [file("1", CHANNEL)], "NOT_A_STREAM", "is a multifd channel"],
  ["two main streams", () => [file("1", STREAM), file("2", STREAM)], "BAD_PARAMETER", "--diff"],
  ["another file", () => [file("1", Buffer.from("\x7fELF"))], "NOT_A_STREAM", "begins with 0x7f454c46"],
  ["no file", () => [inDirectory("none")], "NO_SUCH_FILE", "does not exist"],
  ["a directory", () => [inDirectory(".")], "NO_SUCH_FILE", "is a directory"],
] as const)("%s is refused", async (_name, paths, code, text) => {
  await expect(openStreamFiles(paths())).rejects.toMatchObject({
    code,
    message: expect.stringContaining(text),
  });
});

test("a socket in the file system is no file that can be opened", async () => {
  const server = createServer().listen(inDirectory("socket"));
  await once(server, "listening");
  await expect(openStreamFiles([inDirectory("socket")])).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
  server.close();
});

/** A stream and something that is no smaller when it is compressed, so that the file has several parts. */
const LONG = Buffer.concat([STREAM, randomBytes(1_000_000)]);

test.each([
  ["zstd", zstdCompressSync(LONG)],
  ["gzip", gzipSync(LONG)],
] as const)(
  "a %s file that is cut off gives what is before the cut, and then an error",
  async (name, bytes) => {
    const files = await openStreamFiles([file("a", bytes.subarray(0, bytes.length - 20))]);
    const { main } = files;
    const whole: Uint8Array[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of main.chunks) whole.push(chunk.slice());
    };
    await expect(read()).rejects.toMatchObject({
      code: "TRUNCATED",
      message: `The ${name} file ended before its time`,
    });
    const contents = Buffer.concat(whole);
    expect(contents.length).toBeGreaterThan(STREAM.length);
    expect(Buffer.compare(contents, LONG.subarray(0, contents.length))).toBe(0);
    await files.close();
  },
);

test("a damaged file is an error", async () => {
  const bytes = gzipSync(STREAM);
  bytes[bytes.length - 8]! ^= 1;
  await expect(opened(bytes)).rejects.toMatchObject({ code: "BAD_SECTION" });
});

test("nothing is left open when one of several files is refused", async () => {
  mkdirSync(inDirectory("d"));
  const paths = [file("1", STREAM), inDirectory("d")];
  await expect(openStreamFiles(paths)).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
  const files = await openStreamFiles([paths[0]!]);
  const { main } = files;
  expect((await inspected(await contentsOf(main))).fault).toBeUndefined();
  await files.close();
});

test("the pages of a sparse save image lie where they do in the file, not in the stream", async () => {
  const offset = libvirtFile({ stream: new Uint8Array(0) }).length;
  const stream = mappedStream(offset);
  const path = file("a", libvirtFile({ stream, format: 6 }));
  const files = await openStreamFiles([path]);
  const { main } = files;
  const memory = new RamFile({ block: "pc.ram", path: inDirectory("ram"), force: false });
  const { fault } = await inspectStream(
    { main: main.chunks, channels: [], fileOffset: main.fileOffset },
    { limits: DEFAULT_LIMITS, codecs: CODECS, memory },
  );
  expect(fault).toBeUndefined();
  memory.keep();
  await files.close();
  const expected = Buffer.concat([new Uint8Array(PAGE), pageOf(1)]);
  expect(Buffer.compare(readFileSync(inDirectory("ram")), expected)).toBe(0);
});
