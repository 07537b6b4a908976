import { MigrationError } from "@peregrine/protocol";
import fs from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pipe, SOCK_DGRAM, socketPair } from "../test/descriptors.ts";
import type { Channel } from "./channel.ts";
import { NamedDescriptors } from "./named-descriptors.ts";
import { transportCompliance } from "./testing/index.ts";
import { failure } from "./testing/opened.ts";
import { readAll } from "./testing/streams.ts";
import { connect, listen } from "./uri.ts";

const GONE = /^Connection to 'file descriptor \d+' failed: (Broken pipe|Connection reset by peer)$/u;

async function openBoth(writer: number, reader: number, options = {}) {
  const listener = await listen(`fd:${reader}`);
  const accepted = await listener.accept();
  return { writer: await connect(`fd:${writer}`, options), reader: () => Promise.resolve(accepted) };
}

transportCompliance(
  "fd with a socket",
  { medium: "connection", listens: false, gathers: true, gone: GONE },
  async () => ({
    open: (options = {}) => openBoth(...socketPair(), options),
    [Symbol.asyncDispose]: async () => {},
  }),
);

transportCompliance("fd with a pipe", { medium: "pipe", listens: false, gone: GONE }, async () => ({
  open: (options = {}) => {
    const [reader, writer] = pipe();
    return openBoth(writer, reader, options);
  },
  [Symbol.asyncDispose]: async () => {},
}));

transportCompliance("fd with a file", { medium: "file", listens: false, gone: /./u }, async () => {
  const own = await mkdtemp(join(tmpdir(), "peregrine-"));
  let count = 0;
  return {
    async open() {
      const path = join(own, `stream${count++}`);
      return {
        writer: await connect(`fd:${fs.openSync(path, "w")}`),
        async reader() {
          const listener = await listen(`fd:${fs.openSync(path, "r")}`);
          return listener.accept();
        },
      };
    },
    [Symbol.asyncDispose]: () => rm(own, { recursive: true }),
  };
});

let folder: string;
const open: number[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
});

afterEach(async () => {
  for (const descriptor of open.splice(0)) fs.closeSync(descriptor);
  await rm(folder, { recursive: true });
});

function isOpen(descriptor: number): boolean {
  try {
    fs.fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/** One that the test closes. */
function opened(descriptor: number): number {
  open.push(descriptor);
  return descriptor;
}

describe("a descriptor", () => {
  test("is closed with its channel", async () => {
    const [reader, writer] = pipe();
    const file = fs.openSync(join(folder, "file"), "w");
    for (const [descriptor, direction] of [
      [reader, "in"],
      [writer, "out"],
      [file, "out"],
    ] as const) {
      const uri = `fd:${descriptor}`;
      const channel: Channel = direction === "out" ? await connect(uri) : await (await listen(uri)).accept();
      expect(isOpen(descriptor)).toBe(true);
      channel.destroy();
      await channel.closed;
      expect(isOpen(descriptor)).toBe(false);
    }
  });

  test("of a file is used from where it stands", async () => {
    const path = join(folder, "file");
    const file = fs.openSync(path, "w+");
    fs.writeSync(file, "head");
    const writer = await connect(`fd:${file}`);
    await writer.write(Buffer.from("stream"));
    await writer.end();
    writer.destroy();
    expect(await readFile(path, "utf8")).toBe("headstream");
    const reading = fs.openSync(path, "r");
    fs.readSync(reading, Buffer.alloc(4));
    const reader = await (await listen(`fd:${reading}`)).accept();
    expect((await readAll(reader)).toString()).toBe("stream");
    reader.destroy();
    await reader.closed;
  });

  test("of a file that is dropped half way keeps what is in it", async () => {
    const path = join(folder, "file");
    const writer = await connect(`fd:${fs.openSync(path, "w")}`);
    await writer.write(Buffer.from("half"));
    writer.destroy();
    await writer.closed;
    expect(await readFile(path, "utf8")).toBe("half");
  });

  test.each<["in" | "out", () => number, string | RegExp]>([
    ["out", () => 999_999, "Bad file descriptor"],
    ["in", () => 999_999, "Bad file descriptor"],
    [
      "out",
      () => opened(fs.openSync("/dev/null", "w")),
      "It is neither a socket, nor a pipe, nor a regular file",
    ],
    ["in", () => opened(fs.openSync("/", "r")), "It is neither a socket, nor a pipe, nor a regular file"],
    ["out", () => opened(fs.openSync("/proc/self/exe", "r")), "It is not open for writing"],
    ["in", () => opened(fs.openSync(join(folder, "new"), "w")), "It is not open for reading"],
    ["out", () => pipe().map(opened)[0]!, "It is not open for writing"],
    ["in", () => pipe().map(opened)[1]!, "It is not open for reading"],
    ["out", () => socketPair(SOCK_DGRAM).map(opened)[0]!, /Unsupported fd type/u],
  ])("of no use (%s) is refused in one sentence, and left open", async (direction, make, reason) => {
    const descriptor = make();
    const error = await failure(
      direction === "out" ? connect(`fd:${descriptor}`) : listen(`fd:${descriptor}`),
    );
    expect(error.code).toBe(direction === "out" ? "CONNECT_FAILED" : "LISTEN_FAILED");
    expect(error.message.startsWith(`The file descriptor ${descriptor} cannot be used: `)).toBe(true);
    expect(error.message).toMatch(reason);
    if (descriptor !== 999_999) expect(isOpen(descriptor)).toBe(true);
  });

  test("that is not wanted any more is closed", async () => {
    const [reader, writer] = pipe();
    opened(reader);
    const signal = AbortSignal.abort(new MigrationError("CANCELLED", "enough"));
    expect((await failure(connect(`fd:${writer}`, { signal }))).message).toBe("enough");
    expect(isOpen(writer)).toBe(false);
  });

  test("has to be named by number where no names are known", async () => {
    expect(await failure(connect("fd:nope"))).toMatchObject({
      code: "CONNECT_FAILED",
      message: "File descriptor named 'nope' has not been found",
    });
    expect(await failure(listen("fd:nope"))).toMatchObject({
      code: "BAD_ADDRESS",
      message: "Invalid file descriptor number 'nope'",
    });
  });
});

describe("named descriptors", () => {
  test("are taken by the migration that names them", () => {
    const names = new NamedDescriptors();
    const [reader, writer] = pipe();
    opened(reader);
    opened(writer);
    names.add("mig", writer);
    expect(names.resolve("fd:mig", "outgoing")).toBe(`fd:${writer}`);
    expect(() => names.resolve("fd:mig", "outgoing")).toThrow(
      expect.objectContaining({ message: "File descriptor named 'mig' has not been found" }),
    );
    names.close();
    expect(isOpen(writer)).toBe(true);
  });

  test("leave every other address as it is", () => {
    const names = new NamedDescriptors();
    for (const uri of ["fd:7", "tcp:127.0.0.1:1", "exec:cat", "file:a,offset=1k"]) {
      expect(names.resolve(uri, "outgoing")).toBe(uri);
    }
    expect(() => names.resolve("rdma:x:1", "incoming")).toThrow(
      expect.objectContaining({ code: "UNKNOWN_SCHEME" }),
    );
  });

  test("are closed when they are replaced, removed, refused or left over", () => {
    const names = new NamedDescriptors();
    const [first, second] = pipe();
    const [third, fourth] = pipe();
    const fifth = fs.openSync("/dev/null", "r");
    names.add("a", first);
    names.add("a", second);
    names.add("", third);
    names.add("b", fourth);
    expect([first, second, third, fourth].map(isOpen)).toEqual([false, true, true, true]);
    names.remove("a");
    expect(isOpen(second)).toBe(false);
    expect(() => names.remove("a")).toThrow(
      expect.objectContaining({ message: "File descriptor named 'a' not found" }),
    );
    expect(() => names.add("1st", fifth)).toThrow(
      expect.objectContaining({ message: "Parameter 'fdname' expects a name not starting with a digit" }),
    );
    expect(isOpen(fifth)).toBe(false);
    names.close();
    expect([third, fourth].map(isOpen)).toEqual([false, false]);
  });

  test("are bounded", () => {
    const names = new NamedDescriptors();
    for (let count = 0; count < 64; count++) names.add(`n${count}`, fs.openSync("/dev/null", "r"));
    const one = fs.openSync("/dev/null", "r");
    expect(() => names.add("one", one)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
    expect(isOpen(one)).toBe(false);
    names.add("n7", fs.openSync("/dev/null", "r"));
    names.close();
  });

  test("of no use are closed when a migration names them", () => {
    const names = new NamedDescriptors();
    const descriptor = fs.openSync("/dev/null", "w");
    names.add("null", descriptor);
    expect(() => names.resolve("fd:null", "outgoing")).toThrow(
      expect.objectContaining({ code: "CONNECT_FAILED" }),
    );
    expect(isOpen(descriptor)).toBe(false);
  });
});
