import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listeningFixture, transportCompliance } from "./testing/index.ts";
import { connect, listen } from "./uri.ts";

transportCompliance(
  "unix",
  {
    medium: "connection",
    listens: true,
    gathers: true,
    gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    return listeningFixture({
      uri: `unix:${join(folder, "socket")}`,
      dispose: () => rm(folder, { recursive: true }),
    });
  },
);

transportCompliance(
  "unix with read buffers",
  {
    medium: "connection",
    listens: true,
    gathers: true,
    scatters: true,
    gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    const readBuffer = (): Uint8Array => new Uint8Array(4096);
    return listeningFixture({
      uri: `unix:${join(folder, "socket")}`,
      listenOptions: { readBuffer },
      connectOptions: { readBuffer },
      dispose: () => rm(folder, { recursive: true }),
    });
  },
);

const MOST_SEND_BUFFER = "/proc/sys/net/core/wmem_max";
const MIB = 1 << 20;

const allowsMebibyte = existsSync(MOST_SEND_BUFFER) && Number(readFileSync(MOST_SEND_BUFFER, "utf8")) >= MIB;

test.runIf(allowsMebibyte)("a unix socket takes a MiB before anybody has read it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  // Nothing reads from who connects.
  const server = net.createServer({ pauseOnConnect: true });
  const uri = `unix:${join(folder, "socket")}`;
  await new Promise<void>((resolve) => server.listen(join(folder, "socket"), resolve));
  const channel = await connect(uri);
  await channel.write(new Uint8Array(MIB));
  expect(channel.bytesWritten).toBe(MIB);
  channel.destroy();
  server.close();
  await rm(folder, { recursive: true });
});

/**
 * Looks at what is in a folder, again and again, until it is told to end, and counts its looks. Tells every kind and mode
 * that it has seen.
 */
const OBSERVER = `
  const { parentPort, workerData: { folder, words } } = require("node:worker_threads");
  const fs = require("node:fs");
  const seen = new Set();
  const look = (path) => {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) seen.add((found.isSocket() ? "socket " : "other ") + (found.mode & 0o777).toString(8));
  };
  for (; Atomics.load(words, 0) === 0; Atomics.add(words, 1, 1))
    for (const name of fs.readdirSync(folder)) look(folder + "/" + name);
  parentPort.postMessage([...seen].sort());
`;

describe("the file of a unix socket", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    path = join(folder, "socket");
  });

  afterEach(() => rm(folder, { recursive: true }));

  test("is there while somebody listens, and gone after the close", async () => {
    const listener = await listen(`unix:${path}`);
    expect((await stat(path)).isSocket()).toBe(true);
    await listener.close();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("is its user's alone, at every moment", async () => {
    const words = new Int32Array(new SharedArrayBuffer(8));
    const observer = new Worker(OBSERVER, { eval: true, workerData: { folder, words } });
    const told = new Promise((resolve) => observer.once("message", resolve));
    /** Waits until a look is over that has begun after this. */
    const looked = async (): Promise<void> => {
      const begun = Atomics.load(words, 1) + 1;
      while (Atomics.load(words, 1) <= begun) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await looked();
    for (let round = 0; round < 150; round++) await (await listen(`unix:${path}`)).close();
    const listener = await listen(`unix:${path}`);
    await looked();
    Atomics.store(words, 0, 1);
    const seen = (await told) as string[];
    await listener.close();
    expect(seen).toContain("socket 600");
    // The other one is the folder that the socket is made in.
    expect(["other 700", "socket 600"]).toEqual(expect.arrayContaining(seen));
  });

  test("is the only thing that is left there, and no descriptor of this process", async () => {
    const held = (): number =>
      readdirSync("/proc/self/fd").filter((descriptor) => {
        try {
          return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(folder);
        } catch {
          return false;
        }
      }).length;
    const listeners = [await listen(`unix:${path}`), await listen(`unix:${path}-2`)];
    expect((await readdir(folder)).sort()).toEqual(["socket", "socket-2"]);
    await expect(listen(`unix:${path}`)).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    expect((await readdir(folder)).sort()).toEqual(["socket", "socket-2"]);
    await vi.waitFor(() => expect(held()).toBe(2));
    for (const listener of listeners) await listener.close();
    expect(await readdir(folder)).toEqual([]);
    await vi.waitFor(() => expect(held()).toBe(0));
  });

  test("may have a path as long as the system knows", async () => {
    const long = `${folder}/${"x".repeat(107 - folder.length - 1)}`;
    const listener = await listen(`unix:${long}`);
    const [client, server] = await Promise.all([connect(`unix:${long}`), listener.accept()]);
    client.destroy();
    server.destroy();
    await listener.close();
    expect(await readdir(folder)).toEqual([]);
  });

  test("is not taken away when another one has its place", async () => {
    const listener = await listen(`unix:${path}`);
    await rm(path);
    const other = await listen(`unix:${path}`);
    await listener.close();
    const client = await connect(`unix:${path}`);
    client.destroy();
    await other.close();
  });

  test("does not replace a link, nor is made where it points", async () => {
    await symlink(join(folder, "elsewhere"), path);
    await expect(listen(`unix:${path}`)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: `Failed to listen on '${path}': Address already in use`,
    });
    expect(await readdir(folder)).toEqual(["socket"]);
  });

  test("is replaced when its process died", async () => {
    const program = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", program, path]);
    expect((await stat(path)).isSocket()).toBe(true);
    const listener = await listen(`unix:${path}`);
    const [client, server] = await Promise.all([connect(`unix:${path}`), listener.accept()]);
    client.destroy();
    server.destroy();
    await listener.close();
  });

  test("is not replaced while somebody listens", async () => {
    const listener = await listen(`unix:${path}`);
    await expect(listen(`unix:${path}`)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: `Failed to listen on '${path}': Address already in use`,
    });
    const client = await connect(`unix:${path}`);
    client.destroy();
    await listener.close();
  });

  test("is not replaced when it is another kind of file", async () => {
    await writeFile(path, "precious");
    await expect(listen(`unix:${path}`)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: `Failed to listen on '${path}': Address already in use`,
    });
    expect(await readFile(path, "utf8")).toBe("precious");
  });

  test("that is missing is named in the error", async () => {
    await expect(connect(`unix:${path}`)).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: `Failed to connect to '${path}': No such file or directory`,
    });
  });

  test("cannot be made in a folder that is missing", async () => {
    await expect(listen(`unix:${folder}/none/socket`)).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });
});
