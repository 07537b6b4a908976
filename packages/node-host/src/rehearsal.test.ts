import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WasmMachine } from "@peregrine/machine-wasm";
import { afterAll, expect, test } from "vitest";
import { fieldsOf, guestModule, quietHost } from "../test/guests.ts";

const directory = mkdtempSync(join(tmpdir(), "peregrine-rehearsal-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Names of what this process has open below the directory. */
function openFiles(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return [];
      }
    })
    .filter((path) => path.startsWith(directory))
    .toSorted();
}

/** Waits until the guest has begun to write its file. */
async function untilOpen(): Promise<void> {
  while (!openFiles().some((path) => path.endsWith("progress")))
    await new Promise((resolve) => setTimeout(resolve, 5));
}

function counter(): Promise<WasmMachine> {
  return WasmMachine.create(quietHost(), {
    name: "counter",
    module: guestModule("counter"),
    stackMib: 16,
    wasi: {
      args: ["counter", "/data/progress", "--mib", "1", "--rate", "1"],
      env: [],
      preopens: [{ guestPath: "/data", hostPath: directory }],
    },
  });
}

test("a guest is refused before it is copied where its directory was not given", async () => {
  const from = await counter();
  const to = WasmMachine.incoming(quietHost());
  try {
    await from.start();
    await from.startDirtyLog();
    const sections = await from.devices.saveAll("early");
    const load = async (): Promise<void> => {
      for (const section of sections)
        await to.devices.load(section.name, section.instance, fieldsOf(from, section));
    };
    await expect(load()).rejects.toMatchObject({
      code: "DEVICE_STATE",
      message: expect.stringContaining(
        `directory /data (${directory} at the source) is not allowed here: give --dir HOST::/data, or --source-dirs`,
      ),
    });
  } finally {
    await from.dispose();
    await to.dispose();
  }
});

test("what prepares for a guest that arrives leaves nothing open, and the guest can go on there", async () => {
  const from = await counter();
  const to = WasmMachine.incoming(quietHost(), { given: [], othersAsAtSource: true });
  try {
    await from.start();
    await untilOpen();
    await from.startDirtyLog();
    const before = openFiles();
    for (const section of await from.devices.saveAll("early"))
      await to.devices.load(section.name, section.instance, fieldsOf(from, section));
    await to.prepared();
    expect(openFiles()).toEqual(before);
    await expect(to.start()).rejects.toMatchObject({ code: "WRONG_STATE" });
    await from.stop();
    for (const section of await from.devices.saveAll("late"))
      await to.devices.load(section.name, section.instance, fieldsOf(from, section));
    expect(openFiles()).toHaveLength(before.length * 2);
    await to.start();
    await to.stop();
  } finally {
    await from.dispose();
    await to.dispose();
  }
});
