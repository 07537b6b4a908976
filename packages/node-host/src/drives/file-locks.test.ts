import { closeSync, openSync } from "node:fs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { drive, ImageDirectory } from "../../test/drives.ts";
import { kernelLocks } from "./file-locks.ts";
import { NodeDrives } from "./node-drives.ts";

function opened(path: string, flags: string): number {
  const fd = openSync(path, flags);
  onTestFinished(() => closeSync(fd));
  return fd;
}

describe("the kernel's locks", () => {
  it("are an open file's, shared by those that read and exclusive for one that writes", async () => {
    const locks = await kernelLocks();
    const path = new ImageDirectory().make("x", Uint8Array.of(1));
    const [one, two, writer] = [opened(path, "r"), opened(path, "r"), opened(path, "r+")];
    expect([locks.lock(one, "shared"), locks.lock(two, "shared"), locks.lock(writer, "exclusive")]).toEqual([
      true,
      true,
      false,
    ]);
    locks.unlock(one);
    expect(locks.lock(writer, "exclusive")).toBe(false);
    locks.unlock(two);
    expect(locks.lock(writer, "exclusive")).toBe(true);
    expect(locks.lock(one, "shared")).toBe(false);
  });

  it("are refused with the reason where they cannot be had", async () => {
    const locks = await kernelLocks();
    const reader = opened(new ImageDirectory().make("x", Uint8Array.of(1)), "r");
    expect(() => locks.lock(reader, "exclusive")).toThrow(
      expect.objectContaining({
        code: "NO_DRIVE_LOCKS",
        message: expect.stringMatching(/\(EBADF\); with lock=off/) as string,
      }),
    );
  });

  it("are done without where the user says so, when they cannot be called", async () => {
    vi.doMock("koffi", () => {
      throw new Error("no binary for this system");
    });
    onTestFinished(() => vi.doUnmock("koffi"));
    const options = drive(new ImageDirectory().make("x", Uint8Array.of(1)));
    await expect(NodeDrives.open([options])).rejects.toMatchObject({
      code: "NO_DRIVE_LOCKS",
      message: expect.stringMatching(
        /^The drive's image file cannot be locked: the module koffi cannot be loaded/,
      ) as string,
    });
    await (await NodeDrives.open([{ ...options, lock: false }])).dispose();
  });
});
