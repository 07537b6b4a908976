import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { WasmMachine } from "@peregrine/machine-wasm";
import { createGuest, fieldsOf, quietHost } from "../test/guests.ts";

const KIB = 1024;
let machine: WasmMachine | undefined;
afterEach(async () => {
  await machine?.dispose();
});

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7) >>> 3);

/** A guest that runs and does not read, and the console that it could read. */
async function busyGuest(): Promise<{ guest: WasmMachine; stdin: PassThrough }> {
  const stdin = new PassThrough({ highWaterMark: 1024 * KIB });
  const args = ["--mib", "1", "--rate", "0", "--sweeps", "1000000000", "--every", "100000000"];
  const guest = await createGuest("torture", args, { host: quietHost({ stdin }) });
  machine = guest;
  await guest.start();
  return { guest, stdin };
}

async function consoleInput(guest: WasmMachine): Promise<{ input: Uint8Array; ended: boolean }> {
  const saved = await guest.devices.saveAll("late");
  const fields = fieldsOf(
    guest,
    saved.find(({ name }) => name === "wasi")!,
  );
  const { input, inputEnded } = fields as { input: Uint8Array; inputEnded: boolean };
  return { input, ended: inputEnded };
}

describe("console input that the guest has not read when it is stopped", () => {
  it("travels, also what waits for room in front of the guest, and stays for a guest that goes on here", async () => {
    const { guest, stdin } = await busyGuest();
    const typed = bytes(100 * KIB);
    stdin.write(typed);
    await vi.waitFor(() => expect(stdin.readableLength).toBe(0));
    for (let attempt = 0; attempt < 2; attempt++) {
      await guest.stop();
      const { input, ended } = await consoleInput(guest);
      expect(Buffer.compare(input, typed)).toBe(0);
      expect(ended).toBe(false);
      await guest.start();
    }
  });

  it("travels with its end", async () => {
    const { guest, stdin } = await busyGuest();
    stdin.end(bytes(40 * KIB));
    await vi.waitFor(() => expect(stdin.readableEnded).toBe(true));
    await guest.stop();
    expect(await consoleInput(guest)).toMatchObject({ input: bytes(40 * KIB), ended: true });
  });

  it("keeps the guest from moving when it is too much, and loses nothing", async () => {
    const { guest, stdin } = await busyGuest();
    stdin.write(bytes(300 * KIB));
    await vi.waitFor(() => expect(stdin.readableLength).toBe(0));
    await guest.stop();
    await expect(guest.devices.saveAll("late")).rejects.toMatchObject({
      code: "DEVICE_STATE",
      message: expect.stringMatching(/307200 bytes of console input.*let it read some/) as string,
    });
    await guest.start();
  });
});
