import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** A module with nothing but its header. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** `(module (func (export "_start") unreachable) (memory (export "memory") 1))` */
const TRAPPING_MODULE = Buffer.from(
  "0061736d0100000001040160000003020100050301000107130206" +
    "5f73746172740000066d656d6f72790200" +
    "0a05010300000b",
  "hex",
);

function file(name: string, content: string | Uint8Array): string {
  const path = join(peregrine.directory, name);
  writeFileSync(path, content);
  return path;
}

test.each([
  ["NO_SUCH_FILE", () => ["run", "/nowhere/x.wasm"]],
  ["NO_SUCH_FILE", () => ["run", guest("console"), "--dir", "/nowhere::/data"]],
  ["NOT_WASM", () => ["run", file("text.wasm", "hello")]],
  ["UNSUPPORTED_FEATURE", () => ["run", file("empty.wasm", EMPTY_MODULE)]],
  ["UNSUPPORTED_FEATURE", () => ["run", "--no-migrate", file("empty.wasm", EMPTY_MODULE)]],
  ["NO_SUCH_GUEST", () => ["info", "nobody"]],
  ["NO_SUCH_GUEST", () => ["migrate", "nobody", "tcp:127.0.0.1:1"]],
  ["NO_SUCH_GUEST", () => ["cancel", "nobody"]],
  ["UNKNOWN_SCHEME", () => ["migrate", "nobody", "ftp:127.0.0.1:1"]],
  ["UNKNOWN_SCHEME", () => ["receive", "ftp:127.0.0.1:1"]],
  ["BAD_ADDRESS", () => ["receive", "tcp:nowhere"]],
  ["LISTEN_FAILED", () => ["receive", "unix:/nowhere/x.sock"]],
] as const)("%s is said in one sentence", async (code, args) => {
  const { status, stdout, stderr } = await peregrine.run(...args());
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(new RegExp(`^peregrine: ${code}: [^\\n]+\\n$`, "u"));
});

test("a wrong flag has a status of its own", async () => {
  const { status, stderr } = await peregrine.run("migrate", "x", "tcp:h:1", "--bandwidth", "fast");
  expect(status).toBe(2);
  expect(stderr).toMatch(/^peregrine: USAGE: [^\n]*--bandwidth[^\n]*\n$/u);
});

test.each([[[]], [["--no-migrate"]]])(
  "a guest that traps is told with status 134, with %j",
  async (flags) => {
    const { status, stderr } = await peregrine.run("run", ...flags, file("trap.wasm", TRAPPING_MODULE));
    expect(status).toBe(134);
    expect(stderr).toMatch(/^peregrine: GUEST_TRAP: [^\n]*unreachable\n$/u);
  },
);

test("a guest that stays here cannot be stopped or migrated, and runs on", async () => {
  const process = peregrine.start("run", "--no-migrate", guest("console"), "--name", "fixed");
  process.write("12\n");
  await process.printed("stdout", /sum=12> $/u);
  const info = JSON.parse((await peregrine.run("info", "fixed", "--json")).stdout) as { memory: number };
  expect(info).toMatchObject({ status: "running", program: guest("console") });
  expect(info.memory).toBeGreaterThan(0);
  const migrate = await peregrine.run("migrate", "fixed", "tcp:127.0.0.1:1");
  expect(migrate).toMatchObject({ status: 1, stderr: expect.stringContaining("--no-migrate") });
  expect(await peregrine.run("stop", "fixed")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("--no-migrate"),
  });
  process.write("quit 5\n");
  expect(await process.finished()).toMatchObject({ status: 5, stderr: "" });
});
