import { MigrationError } from "@peregrine/protocol";
import * as fc from "fast-check";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Channel, SeekableOutput } from "./channel.ts";
import { transportCompliance } from "./testing/index.ts";
import { failure } from "./testing/opened.ts";
import { fillPattern, readAll, readPattern, writePattern } from "./testing/streams.ts";
import { connect, listen } from "./uri.ts";

const MiB = 1 << 20;

let folder: string;
let path: string;
const channels: Channel[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  path = join(folder, "stream");
});

afterEach(async () => {
  for (const channel of channels.splice(0)) {
    channel.destroy();
    await channel.closed;
  }
  await rm(folder, { recursive: true });
});

async function output(uri = `file:${path}`): Promise<Channel & { readonly file: SeekableOutput }> {
  const channel = await connect(uri);
  channels.push(channel);
  expect(channel.file).toBeDefined();
  return channel as Channel & { readonly file: SeekableOutput };
}

async function input(uri = `file:${path}`): Promise<Channel> {
  const listener = await listen(uri);
  const channel = await listener.accept();
  channels.push(channel);
  await listener.close();
  return channel;
}

transportCompliance("file", { medium: "file", listens: false, gone: /./u }, async () => {
  const own = await mkdtemp(join(tmpdir(), "peregrine-"));
  let count = 0;
  return {
    async open() {
      const uri = `file:${join(own, `stream${count++}`)}`;
      return {
        writer: await connect(uri),
        async reader() {
          const listener = await listen(uri);
          return listener.accept();
        },
      };
    },
    [Symbol.asyncDispose]: () => rm(own, { recursive: true }),
  };
});

describe("a channel into a file", () => {
  test("makes one that nobody else can read", async () => {
    const writer = await output(`file:${path}`);
    await writer.write(Buffer.from("secret"));
    await writer.end();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("keeps the bytes intact and in order, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 }),
        fc.nat(5000),
        async (sizes, offset) => {
          const uri = `file:${path},offset=${offset}`;
          const writer = await output(uri);
          let position = 0;
          for (const size of sizes) {
            const bytes = new Uint8Array(size);
            fillPattern(bytes, position);
            await writer.write(bytes);
            bytes.fill(0);
            position += size;
            expect(writer.file.position).toBe(offset + position);
          }
          expect(writer.bytesWritten).toBe(position);
          await writer.end();
          const reader = await input(uri);
          expect(await readPattern(reader)).toBe(position);
          expect(reader.bytesRead).toBe(position);
          await rm(path);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("takes a large stream through buffers that are used again, and from shared memory", async () => {
    const total = 24 * MiB + 12_345;
    const writer = await output();
    await writePattern(writer, total, MiB);
    const shared = new Uint8Array(new SharedArrayBuffer(100_000));
    fillPattern(shared, total);
    await writer.write(shared);
    await writer.end();
    expect(await readPattern(await input())).toBe(total + shared.length);
  });

  test("puts bytes at any place", async () => {
    const write = fc.record({
      at: fc.nat(50_000),
      size: fc.integer({ min: 1, max: 5000 }),
      stay: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 10 }), async (writes) => {
        const writer = await output();
        const expected = Buffer.alloc(60_000);
        let end = 0;
        for (const [index, { at, size, stay }] of writes.entries()) {
          const bytes = Buffer.alloc(size, index + 1);
          if (stay) {
            const { position } = writer.file;
            await writer.file.writeAt(bytes, at);
            expect(writer.file.position).toBe(position);
          } else {
            writer.file.seek(at);
            await writer.write(bytes);
            expect(writer.file.position).toBe(at + size);
          }
          expected.set(bytes, at);
          end = Math.max(end, at + size);
        }
        await writer.end();
        expect(Buffer.compare(await readFile(path), expected.subarray(0, end))).toBe(0);
        await rm(path);
      }),
      { numRuns: 20 },
    );
  });

  test("is there after the end, also when it is dropped then, without an error", async () => {
    const writer = await output();
    const writing = writer.write(Buffer.from("all of it"));
    await writer.end();
    await writing;
    writer.destroy();
    await writer.closed;
    expect(await readFile(path, "utf8")).toBe("all of it");
    expect(writer.error).toBeUndefined();
    expect(await readAll(writer)).toHaveLength(0);
  });

  test("leaves nothing behind when it is dropped before its end", async () => {
    const writer = await output();
    await writer.write(Buffer.from("half of it"));
    writer.destroy();
    await writer.closed;
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
    expect(writer.error).toMatchObject({
      code: "CHANNEL_FAILED",
      message: `Writing to '${path}' failed: closed at this end`,
    });
  });

  test("leaves nothing behind when it is dropped while it ends", async () => {
    const writer = await output();
    await writer.write(new Uint8Array(MiB));
    const ending = failure(writer.end());
    const reason = new MigrationError("CANCELLED", "the migration was cancelled");
    writer.destroy(reason);
    expect(await ending).toBe(reason);
    await writer.closed;
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("rejects everything that is pending when it is dropped, with the given error", async () => {
    const writer = await output();
    const reason = new MigrationError("CANCELLED", "the migration was cancelled");
    const pending = [failure(readAll(writer)), failure(writer.write(new Uint8Array(MiB)))];
    writer.destroy(reason);
    expect(await Promise.all(pending)).toEqual([reason, reason]);
    expect(writer.error).toBe(reason);
    expect(await failure(writer.write(new Uint8Array(1)))).toBe(reason);
    expect(await failure(writer.file.writeAt(new Uint8Array(1), 0))).toBe(reason);
    expect(await failure(writer.end())).toBe(reason);
  });

  test("refuses what is written after the end", async () => {
    const writer = await output();
    await writer.end();
    expect(await failure(writer.write(new Uint8Array(1)))).toMatchObject({
      code: "CHANNEL_FAILED",
      message: `Writing to '${path}' failed: write after end`,
    });
    expect(writer.error).toBeUndefined();
    await writer.end();
  });

  test("says what the system says when it cannot be written", async () => {
    const writer = await output();
    // As far into the file as no file system goes.
    const error = await failure(writer.file.writeAt(new Uint8Array(10), Number.MAX_SAFE_INTEGER));
    expect(error).toMatchObject({ code: "CHANNEL_FAILED" });
    expect(error.message).toBe(`Writing to '${path}' failed: File too large`);
    expect(await failure(writer.end())).toBe(error);
    await writer.closed;
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("does not touch a file that has contents", async () => {
    await writeFile(path, "a machine");
    expect(await failure(connect(`file:${path}`))).toMatchObject({
      code: "CONNECT_FAILED",
      message: `The file '${path}' has contents already and is not overwritten: remove it, or name another one`,
    });
    expect((await failure(connect(`file:${path},offset=8`))).code).toBe("CONNECT_FAILED");
    expect(await readFile(path, "utf8")).toBe("a machine");
  });

  test("goes on behind a header, and makes the file what it was when it fails", async () => {
    await writeFile(path, "header");
    const uri = `file:${path},offset=8`;
    const failing = await output(uri);
    await failing.write(Buffer.from("half"));
    failing.destroy();
    await failing.closed;
    expect(await readFile(path, "utf8")).toBe("header");
    const writer = await output(uri);
    await writer.write(Buffer.from("body"));
    await writer.end();
    expect(await readFile(path, "utf8")).toBe("header\0\0body");
    expect((await readAll(await input(uri))).toString()).toBe("body");
  });

  test("takes an empty file, and no other kind of file", async () => {
    await writeFile(path, "");
    const writer = await output();
    await writer.write(Buffer.from("x"));
    await writer.end();
    const pipe = join(folder, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    await mkdir(join(folder, "folder"));
    for (const name of ["pipe", "folder"]) {
      expect(await failure(connect(`file:${folder}/${name}`))).toMatchObject({
        code: "CONNECT_FAILED",
        message: `Could not create '${folder}/${name}': Not a regular file`,
      });
    }
    expect(await failure(connect(`file:${folder}/none/file`))).toMatchObject({
      code: "CONNECT_FAILED",
      message: `Could not create '${folder}/none/file': No such file or directory`,
    });
  });

  test("can be given up, before and after it began, and not once it is there", async () => {
    const early = await failure(connect(`file:${path}`, { signal: AbortSignal.abort() }));
    expect(early.code).toBe("CANCELLED");
    const abort = new AbortController();
    const connecting = failure(connect(`file:${path}`, { signal: abort.signal }));
    abort.abort();
    expect((await connecting).code).toBe("CANCELLED");
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
    const late = new AbortController();
    const writer = await connect(`file:${path}`, { signal: late.signal });
    channels.push(writer);
    late.abort();
    await writer.write(Buffer.from("still here"));
    await writer.end();
  });
});

describe("a channel out of a file", () => {
  test("comes once; whoever accepts another one waits until the listener is closed", async () => {
    await writeFile(path, "stream");
    const listener = await listen(`file:${path}`);
    expect(listener.address).toEqual({ kind: "file", path, offset: 0 });
    const channel = await listener.accept();
    channels.push(channel);
    const second = failure(listener.accept());
    await listener.close();
    await listener.close();
    expect((await second).code).toBe("LISTEN_FAILED");
    expect((await failure(listener.accept())).code).toBe("LISTEN_FAILED");
    expect(channel.peer).toBe(path);
    expect((await readAll(channel)).toString()).toBe("stream");
  });

  test("is there from the listening on, whatever becomes of the name", async () => {
    await writeFile(path, "stream");
    const listener = await listen(`file:${path}`);
    await rm(path);
    const channel = await listener.accept();
    channels.push(channel);
    expect((await readAll(channel)).toString()).toBe("stream");
    await listener.close();
  });

  test("is closed with a listener that nobody asked for it", async () => {
    await writeFile(path, "stream");
    const listener = await listen(`file:${path}`);
    await listener.close();
    expect((await failure(listener.accept())).message).toBe(`No longer listening on '${path}'`);
  });

  test("goes on where its reader left, and ends again at the end", async () => {
    const bytes = new Uint8Array(3 * MiB);
    fillPattern(bytes, 0);
    await writeFile(path, bytes);
    const channel = await input();
    let first = 0;
    for await (const chunk of channel.read()) {
      first = chunk.length;
      break;
    }
    const rest = await readAll(channel);
    expect(Buffer.compare(rest, bytes.subarray(first))).toBe(0);
    expect(await readAll(channel)).toHaveLength(0);
    expect(channel.bytesRead).toBe(bytes.length);
  });

  test("takes no answer, and ends its own direction at once", async () => {
    await writeFile(path, "stream");
    const channel = await input();
    expect(await failure(channel.write(new Uint8Array(1)))).toMatchObject({
      code: "CHANNEL_FAILED",
      message: `Writing to '${path}' failed: the file is being read`,
    });
    await channel.end();
    expect((await readAll(channel)).toString()).toBe("stream");
  });

  test("fails its reader when it is dropped", async () => {
    await writeFile(path, new Uint8Array(MiB));
    const channel = await input();
    const reason = new MigrationError("CANCELLED", "enough");
    const reading = failure(readAll(channel));
    channel.destroy(reason);
    expect(await reading).toBe(reason);
    expect(await failure(readAll(channel))).toBe(reason);
    expect(await failure(channel.end())).toBe(reason);
    await channel.closed;
  });

  test("is refused where no file can be read", async () => {
    expect(await failure(listen(`file:${path}`))).toMatchObject({
      code: "LISTEN_FAILED",
      message: `Could not open '${path}': No such file or directory`,
    });
    expect(await failure(listen(`file:${folder}`))).toMatchObject({
      code: "LISTEN_FAILED",
      message: `Could not open '${folder}': Not a regular file`,
    });
  });
});
