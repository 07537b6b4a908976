import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listeningFixture, transportCompliance } from "./testing/index.ts";
import { connect, listen } from "./uri.ts";

transportCompliance(
  "unix",
  {
    medium: "connection",
    listens: true,
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
