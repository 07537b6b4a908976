import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../scripts/demo.sh", import.meta.url));

async function demo(...args: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn("sh", [SCRIPT, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await closed, output: output + errors };
}

it("the demonstration moves a program and tells how it went", async () => {
  const { status, output } = await demo();
  const told = [
    /B {2}process \d+ waits for a program on tcp:127\.0\.0\.1:\d+\n/,
    /A {2}process \d+ runs the program\n/,
    /A {2}pass 1: \S+ MiB to send \(\d+ pages\)/,
    /sending rate \S+ MiB\/s, dirty rate \S+ MiB\/s\n/,
    /A {2}the program is stopped\n/,
    /B {2}the program goes on here\n/,
    /downtime \S+ ms, from the stop at A to the start at B\n/,
    /A {2}counts \d+ ms: stop \S+ ms, harvest \S+ ms, last pages \S+ ms, device state \S+ ms, load \S+ ms\n/,
    /A {2}has ended; it printed \d+ lines\n/,
    /B {2}the program has ended; it printed \d+ lines here\n/,
    /The joined output is the same as that of the undisturbed run, to the byte/,
  ];
  for (const line of told) expect(output).toMatch(line);
  expect(status).toBe(0);
});

it("the demonstration refuses a program that it does not have", async () => {
  expect(await demo("nothing")).toEqual({ status: 2, output: "usage: demo [sqlite | lua]\n" });
});
