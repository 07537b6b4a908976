import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sendDescriptors, socketPair } from "../../test/descriptors.ts";
import type { Channel, Listener } from "../channel.ts";
import { listeningFixture, transportCompliance } from "../testing/index.ts";
import { connect, listen } from "../uri.ts";
import { loadSystemCalls } from "./system-calls.ts";

transportCompliance(
  "unix with descriptors",
  {
    medium: "connection",
    listens: true,
    gathers: true,
    gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  },
  async () => {
    const own = await mkdtemp(join(tmpdir(), "peregrine-"));
    return listeningFixture({
      uri: `unix:${join(own, "socket")}`,
      listenOptions: { descriptors: true },
      dispose: () => rm(own, { recursive: true }),
    });
  },
);

test("of the descriptors of one message no more are taken than there may be, and the rest is closed", async () => {
  const calls = (await loadSystemCalls())!;
  const [sender, receiver] = socketPair();
  const null_ = fs.openSync("/dev/null", "r");
  const open = (): number => fs.readdirSync("/proc/self/fd").length;
  const before = open();
  sendDescriptors(sender, Buffer.from("x"), Array<number>(20).fill(null_));
  const { descriptors } = calls.receive(receiver)!;
  expect(descriptors).toHaveLength(16);
  expect(open()).toBe(before + 16);
  for (const descriptor of [...descriptors, sender, receiver, null_]) fs.closeSync(descriptor);
});

describe("descriptors that come over a unix socket", () => {
  let folder: string;
  let listener: Listener;
  let client: net.Socket;
  let server: Channel;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    listener = await listen(`unix:${folder}/socket`, { descriptors: true });
    client = net.connect(`${folder}/socket`);
    server = await listener.accept();
  });

  afterEach(async () => {
    client.destroy();
    server.destroy();
    await listener.close();
    await rm(folder, { recursive: true });
  });

  /** A descriptor of a new file, and what tells that file from all others. */
  function newFile(name: string): { readonly descriptor: number; readonly inode: number } {
    const descriptor = fs.openSync(join(folder, name), "w");
    return { descriptor, inode: fs.fstatSync(descriptor).ino };
  }

  /** Sends and forgets: the client's own descriptors are closed. */
  function send(text: string, ...descriptors: readonly number[]): void {
    const { _handle: handle } = client as unknown as { readonly _handle: { readonly fd: number } };
    sendDescriptors(handle.fd, Buffer.from(text), descriptors);
    for (const descriptor of descriptors) fs.closeSync(descriptor);
  }

  async function nextText(): Promise<string> {
    for await (const chunk of server.read()) return Buffer.from(chunk).toString();
    return "";
  }

  function inode(descriptor: number | undefined): number | undefined {
    return descriptor === undefined ? undefined : fs.fstatSync(descriptor).ino;
  }

  /** How many descriptors of this process are of that file. */
  function holders(wanted: number): number {
    return fs.readdirSync("/proc/self/fd").filter((name) => {
      try {
        return fs.fstatSync(Number(name)).ino === wanted;
      } catch {
        return false;
      }
    }).length;
  }

  test("are there with their bytes, once, and are closed when a program is run", async () => {
    const { descriptor, inode: wanted } = newFile("a");
    send("with", descriptor);
    send("without");
    expect(await nextText()).toBe("with");
    const taken = server.descriptors?.take();
    expect(inode(taken)).toBe(wanted);
    expect(fs.readFileSync(`/proc/self/fdinfo/${taken}`, "utf8")).toMatch(/^flags:\s*0*2\d{6}$/mu);
    expect(server.descriptors?.take()).toBeUndefined();
    expect(await nextText()).toBe("without");
    expect(server.descriptors?.take()).toBeUndefined();
    fs.closeSync(taken!);
  });

  test("wait for the command that takes them", async () => {
    const { descriptor, inode: wanted } = newFile("a");
    send("half a ", descriptor);
    expect(await nextText()).toBe("half a ");
    send("command");
    expect(await nextText()).toBe("command");
    const taken = server.descriptors?.take();
    expect(inode(taken)).toBe(wanted);
    fs.closeSync(taken!);
  });

  test("belong to the bytes they came with, however much has come by then", async () => {
    const files = ["a", "b"].map(newFile);
    for (const { descriptor, inode: number } of files) send(`${number}`, descriptor);
    for (const { inode: wanted } of files) {
      expect(await nextText()).toBe(`${wanted}`);
      const taken = server.descriptors?.take();
      expect(inode(taken)).toBe(wanted);
      fs.closeSync(taken!);
    }
  });

  test("are closed when nobody takes them", async () => {
    const [first, second, third, fourth] = ["a", "b", "c", "d"].map(newFile);
    send("several", first!.descriptor, second!.descriptor);
    await nextText();
    const taken = server.descriptors?.take();
    expect(inode(taken)).toBe(first!.inode);
    expect([holders(first!.inode), holders(second!.inode)]).toEqual([1, 0]);
    fs.closeSync(taken!);
    send("one", third!.descriptor);
    await nextText();
    send("another", fourth!.descriptor);
    await nextText();
    expect([holders(third!.inode), holders(fourth!.inode)]).toEqual([0, 1]);
    server.destroy();
    await server.closed;
    expect(holders(fourth!.inode)).toBe(0);
  });

  test("are bounded for each message", async () => {
    const { descriptor, inode: wanted } = newFile("a");
    const copies = Array.from({ length: 40 }, () => fs.openSync(join(folder, "a"), "r"));
    send("many", descriptor, ...copies);
    expect(await nextText()).toBe("many");
    expect(holders(wanted)).toBe(16);
    const taken = server.descriptors?.take();
    expect(inode(taken)).toBe(wanted);
    expect(holders(wanted)).toBe(1);
    fs.closeSync(taken!);
  });

  test("are not asked for elsewhere", async () => {
    const plain = await listen(`unix:${folder}/plain`);
    const [other, accepted] = await Promise.all([connect(`unix:${folder}/plain`), plain.accept()]);
    expect([other.descriptors, accepted.descriptors]).toEqual([undefined, undefined]);
    other.destroy();
    accepted.destroy();
    await plain.close();
  });
});

/** Runs a program with a listener that takes descriptors, and a client of it. */
async function runProgram(program: string, ...options: readonly string[]): Promise<[unknown, string]> {
  const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  const file = join(folder, "run.ts");
  await writeFile(
    file,
    `import { connect, listen } from ${JSON.stringify(new URL("../uri.ts", import.meta.url).href)};
     const listener = await listen("unix:${folder}/socket", { descriptors: true });
     const client = await connect("unix:${folder}/socket");
     const server = await listener.accept();
     await client.write(Buffer.from("hello"));
     for await (const chunk of server.read()) { console.log(String(chunk)); break; }
     ${program}`,
  );
  const { status, stdout } = spawnSync(process.execPath, [...options, file], {
    encoding: "utf8",
    timeout: 50_000,
  });
  await rm(folder, { recursive: true });
  return [status, stdout];
}

test("a process whose clients are still connected ends all the same", async () => {
  expect(await runProgram("process.exit(7);")).toEqual([7, "hello\n"]);
});

test("without koffi there are no descriptors, and all else is the same", async () => {
  const hook = `import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier === "koffi") throw new Error("it is not installed");
        return next(specifier, context);
      },
    });`;
  const program = "console.log(server.descriptors); process.exit(7);";
  expect(await runProgram(program, "--import", `data:text/javascript,${encodeURIComponent(hook)}`)).toEqual([
    7,
    "hello\nundefined\n",
  ]);
});
