import { expect, test } from "vitest";
import type { CommandHandlers } from "./command-options.ts";
import { execute } from "./command-line.ts";
import type { InspectOptions } from "./inspect-options.ts";

/** What `peregrine inspect` is asked to do. */
async function asked(...args: readonly string[]): Promise<InspectOptions> {
  const calls: InspectOptions[] = [];
  const inspect = (options: InspectOptions): Promise<number> => {
    calls.push(options);
    return Promise.resolve(7);
  };
  const handlers = { inspect } as unknown as CommandHandlers;
  expect(await execute("peregrine", ["inspect", ...args], handlers)).toBe(7);
  expect(calls).toHaveLength(1);
  return calls[0]!;
}

test("a stream and its channels are shown", async () => {
  const maxRam = 2 ** 40;
  expect(await asked("a")).toEqual({ paths: ["a"], maxRam, json: false, task: { kind: "report" } });
  expect(await asked("-", "c1", "c2", "--json")).toEqual({
    paths: ["-", "c1", "c2"],
    maxRam,
    json: true,
    task: { kind: "report" },
  });
});

test("more guest memory can be allowed, or less", async () => {
  expect(await asked("a", "--max-ram", "2T")).toMatchObject({ maxRam: 2 ** 41 });
});

test.each([
  [["--verify"], { kind: "verify" }],
  [["--device", "serial/1"], { kind: "device", device: "serial/1" }],
  [["--diff", "b", "--diff", "c1"], { kind: "diff", paths: ["b", "c1"] }],
  [
    ["--ram", "pc.ram", "-o", "out"],
    { kind: "ram", block: "pc.ram", output: "out", force: false, salvage: false },
  ],
  [
    ["--ram", "pc.ram", "-o", "out", "--force", "--salvage"],
    { kind: "ram", block: "pc.ram", output: "out", force: true, salvage: true },
  ],
])("%j", async (options, task) => {
  expect((await asked("a", ...options)).task).toEqual(task);
});

test.each([
  [[], "'stream'"],
  [["a", "--ram", "pc.ram"], "'--ram <block>' needs -o"],
  [["a", "-o", "out"], "'-o, --output <file>' is for --ram"],
  [["a", "--force"], "'--force' is for --ram"],
  [["a", "--salvage", "--verify"], "'--salvage' is for --ram"],
  [["a", "--verify", "--device", "x"], "'--verify' and '--device' exclude each other"],
  [["a", "--diff", "b", "--ram", "x", "-o", "y"], "'--diff' and '--ram' exclude each other"],
])("%j is a usage error", async (args, text) => {
  await expect(execute("peregrine", ["inspect", ...args], {} as CommandHandlers)).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining(text),
  });
});
