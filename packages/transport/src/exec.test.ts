import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "./channel.ts";
import { transportCompliance } from "./testing/index.ts";
import { failure, untilStill } from "./testing/opened.ts";
import { fillPattern, readAll, writePattern } from "./testing/streams.ts";
import { connect, listen } from "./uri.ts";

const MiB = 1 << 20;

transportCompliance(
  "exec",
  {
    medium: "pipe",
    listens: false,
    gone: /^The command 'exec cat > .+' was ended by SIGPIPE$/u,
  },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    let count = 0;
    return {
      async open(options = {}) {
        const fifo = join(folder, `fifo${count++}`);
        expect(spawnSync("mkfifo", [fifo]).status).toBe(0);
        const writer = await connect(`exec:exec cat > ${fifo}`, options);
        const ready = `${fifo}.ready`;
        const listener = await listen(`exec:exec < ${fifo}; echo $$ > ${ready}; exec cat`);
        const reader = await listener.accept();
        await writtenPid(ready);
        return { writer, reader: () => Promise.resolve(reader) };
      },
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    };
  },
);

let folder: string;
const channels: Channel[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
});

afterEach(async () => {
  for (const channel of channels.splice(0)) {
    channel.destroy();
    await channel.closed;
  }
  await rm(folder, { recursive: true });
});

async function output(command: string): Promise<Channel> {
  const channel = await connect(`exec:${command}`);
  channels.push(channel);
  return channel;
}

async function input(command: string): Promise<Channel> {
  const listener = await listen(`exec:${command}`);
  const channel = await listener.accept();
  channels.push(channel);
  await listener.close();
  return channel;
}

/** Waits until a command has written its process's number there. */
async function writtenPid(path: string): Promise<number> {
  for (;;) {
    const text = await readFile(path, "utf8").catch(() => "");
    if (text.endsWith("\n")) return Number(text);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

/** Neither running nor a zombie. */
async function isGone(pid: number): Promise<boolean> {
  return stat(`/proc/${pid}`).then(
    () => false,
    () => true,
  );
}

describe("a channel into a command", () => {
  test("is complete when the command has ended, and not before", async () => {
    const path = join(folder, "copy");
    const channel = await output(`cat > ${path}.part; sleep 0.2; mv ${path}.part ${path}`);
    const bytes = new Uint8Array(MiB);
    fillPattern(bytes, 0);
    await channel.write(bytes);
    await channel.end();
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    await channel.closed;
    expect(channel.error).toBeUndefined();
  });

  test.each([
    ["cat > /dev/null; exit 3", "ended with exit status 3"],
    ["cat > /dev/null; kill -TERM $$", "was ended by SIGTERM"],
  ])("fails at its end with the status of '%s'", async (command, how) => {
    const channel = await output(command);
    await channel.write(Buffer.from("stream"));
    const error = await failure(channel.end());
    expect(error).toMatchObject({
      code: "CHANNEL_FAILED",
      message: `The command '${command}' ${how}`,
    });
    expect(channel.error).toBe(error);
  });

  test.each([
    ["exit 7", "The command 'exit 7' ended with exit status 7"],
    ["true", "Connection to 'true' failed: it ended before it had taken everything"],
    ["nothing-of-this-name 2>/dev/null", /' ended with exit status 127$/u],
  ])("that ends too early says how, whoever waits: '%s'", async (command, message) => {
    const channel = await output(command);
    const [reading, writing] = await Promise.all([
      failure(readAll(channel)),
      failure(writePattern(channel, 32 * MiB, MiB)),
    ]);
    expect(reading.code).toBe("CHANNEL_FAILED");
    expect(reading.message).toMatch(message);
    expect(writing).toBe(reading);
    expect(await failure(channel.end())).toBe(reading);
  });

  test("that closes its input and goes on is killed after a moment", async () => {
    const pidFile = join(folder, "pid");
    const channel = await output(`exec <&-; echo $$ > ${pidFile}; sleep 1000`);
    const pid = await writtenPid(pidFile);
    const error = await failure(writePattern(channel, 32 * MiB, MiB));
    expect(error.message).toMatch(/ failed: (Broken pipe|Connection reset by peer)$/u);
    await channel.closed;
    expect(await isGone(pid)).toBe(true);
  });

  test("dropped, takes everything with it that the command started, and leaves no zombie", async () => {
    const [shell, child] = [join(folder, "shell"), join(folder, "child")];
    const channel = await output(`echo $$ > ${shell}; sh -c 'echo $$ > ${child}; sleep 1000' & wait`);
    const pids = [await writtenPid(shell), await writtenPid(child)];
    const reason = new MigrationError("CANCELLED", "enough");
    channel.destroy(reason);
    await channel.closed;
    expect(channel.error).toBe(reason);
    expect(await isGone(pids[0]!)).toBe(true);
    // The command's own child is reaped by whoever takes orphans in, a moment later.
    while (!(await isGone(pids[1]!)) && !(await isZombie(pids[1]!))) await untilStill(() => 0);
  });

  test("is not touched any more once it has ended in order", async () => {
    const channel = await output("cat > /dev/null");
    await channel.end();
    channel.destroy();
    await channel.closed;
    expect(channel.error).toBeUndefined();
  });

  test("is not begun when it is not wanted any more", async () => {
    const path = join(folder, "begun");
    const signal = AbortSignal.abort();
    const error = await failure(connect(`exec:touch ${path}`, { signal }));
    expect(error.code).toBe("CANCELLED");
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("a channel out of a command", () => {
  test("ends when the command has ended with status 0", async () => {
    const channel = await input("printf stream; sleep 0.1");
    expect((await readAll(channel)).toString()).toBe("stream");
    await channel.succeeded?.();
    await channel.closed;
    expect(channel.error).toBeUndefined();
  });

  test.each([
    ["printf stream; exit 3", "ended with exit status 3"],
    ["printf stream; kill -9 $$", "was ended by SIGKILL"],
  ])("fails after the last byte with the status of '%s'", async (command, how) => {
    const channel = await input(command);
    const heard: Uint8Array[] = [];
    const error = await failure(
      (async () => {
        for await (const chunk of channel.read()) heard.push(chunk);
      })(),
    );
    expect(Buffer.concat(heard).toString()).toBe("stream");
    expect(error).toMatchObject({ code: "CHANNEL_FAILED", message: `The command '${command}' ${how}` });
    expect(await failure(channel.succeeded!())).toMatchObject({ message: error.message });
    await channel.closed;
    expect(channel.error?.message).toBe(error.message);
  });

  test("holds the command back that nobody reads from", async () => {
    const path = join(folder, "done");
    const channel = await input(`head -c ${32 * MiB} /dev/zero; touch ${path}`);
    await untilStill(() => 0);
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readAll(channel)).toHaveLength(32 * MiB);
    expect((await stat(path)).size).toBe(0);
  });

  test("dropped, kills the command and leaves no zombie", async () => {
    const pidFile = join(folder, "pid");
    const channel = await input(`echo $$ > ${pidFile}; sleep 1000`);
    const pid = await writtenPid(pidFile);
    channel.destroy();
    await channel.closed;
    expect(channel.error?.message).toMatch(/ failed: closed at this end$/u);
    expect(await isGone(pid)).toBe(true);
  });

  test("goes with a listener that nobody asked for it", async () => {
    const pidFile = join(folder, "pid");
    const listener = await listen(`exec:echo $$ > ${pidFile}; sleep 1000`);
    const pid = await writtenPid(pidFile);
    await listener.close();
    expect(await isGone(pid)).toBe(true);
  });
});

test("what a command says on its standard error comes out on ours", async () => {
  await writeFile(
    join(folder, "run.ts"),
    `import { connect } from ${JSON.stringify(new URL("uri.ts", import.meta.url).href)};
     const channel = await connect("exec:cat >/dev/null; echo from the command >&2");
     await channel.end();`,
  );
  const { status, stderr } = spawnSync(process.execPath, [join(folder, "run.ts")], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, "from the command\n"]);
});

async function isZombie(pid: number): Promise<boolean> {
  return /\) Z /u.test(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}
