// The packages as they are installed in a folder outside of the workspace, used by Node and by the compiler.
import { globSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { usePeregrine } from "@peregrine/cli/testing";
import { describe, expect, test } from "vitest";
import { consumer, exampleFile, globalPrefix } from "./installed.ts";
import { packed } from "./pack.ts";
import { examplesOf } from "./readme.ts";
import { output, run } from "./run.ts";
import { WORKSPACE } from "./workspace.ts";

const LIBRARIES = packed()
  .map(({ source }) => source)
  .filter(({ hasCommands }) => !hasCommands);

/** Of nobody who works on the sources. */
const ENVIRONMENT = { PATH: process.env["PATH"], HOME: process.env["HOME"] };

const node = (...args: readonly string[]): Promise<string> =>
  output(process.execPath, args, consumer(), ENVIRONMENT);

/** The names that each module has, and the file that it is. */
async function modules(specifiers: readonly string[]): Promise<unknown> {
  const program = `
    const found = {};
    for (const name of JSON.parse(process.argv[1])) found[name] = [Object.keys(await import(name)), import.meta.resolve(name)];
    console.log(JSON.stringify(found));`;
  const text = await node("--input-type=module", "--eval", program, JSON.stringify(specifiers));
  return JSON.parse(text);
}

test("every export has the names that its source has, and is found in the folder", async () => {
  const exported = LIBRARIES.flatMap(({ manifest, directory, exports }) =>
    Array.from(exports, ([key, source]) => ({
      name: join(manifest.name, key),
      source: pathToFileURL(join(directory, source)).href,
    })),
  );
  const installed = (await modules(exported.map(({ name }) => name))) as Record<string, [string[], string]>;
  const sources = (await modules(exported.map(({ source }) => source))) as Record<string, [string[], string]>;
  for (const { name, source } of exported) {
    const [names, file] = installed[name]!;
    expect([name, names]).toEqual([name, sources[source]![0]]);
    expect(file).toMatch(
      new RegExp(`^file://${consumer()}/node_modules/${name.split("/", 2).join("/")}/dist/`, "u"),
    );
  }
});

test("nothing that is installed is a link to something outside", () => {
  for (const directory of [consumer(), globalPrefix()]) {
    const links = globSync("**/*", { cwd: directory, withFileTypes: true }).filter((entry) =>
      entry.isSymbolicLink(),
    );
    const outside = links
      .map((entry) => realpathSync(join(entry.parentPath, entry.name)))
      .filter((path) => !path.startsWith(directory));
    expect(outside).toEqual([]);
  }
});

test("what is not exported cannot be imported", async () => {
  const program = `
    const refusals = [];
    for (const name of JSON.parse(process.argv[1])) {
      await import(name).then(() => refusals.push("imported"), ({ code }) => refusals.push(code));
    }
    console.log(refusals.join());`;
  const deep = packed().flatMap(({ source: { manifest, exports } }) => [
    `${manifest.name}/dist/index.js`,
    `${manifest.name}/src/index.ts`,
    ...Object.keys(manifest.exports ?? {})
      .filter((key) => !exports.has(key))
      .map((key) => join(manifest.name, key)),
  ]);
  const text = await node("--input-type=module", "--eval", program, JSON.stringify(deep));
  expect(text.trim()).toBe(deep.map(() => "ERR_PACKAGE_PATH_NOT_EXPORTED").join());
});

test("examples and all declarations that can be reached have the right types", async () => {
  const compiler = join(WORKSPACE, "node_modules/.bin/tsc");
  expect(await run(compiler, ["-p", consumer()], consumer(), ENVIRONMENT)).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
});

describe("the example", () => {
  const peregrine = usePeregrine([process.execPath, join(globalPrefix(), "bin/peregrine")]);
  const guest = join(WORKSPACE, "examples/guests/numeric.wasm");

  /** What an example is given, and what it has to print. */
  const RUNS: Readonly<Record<string, { args?: () => Promise<string[]>; prints: RegExp }>> = {
    "dest-agent": {
      prints: /^waiting at tcp:127\.0\.0\.1:\d+\nfailed: The guest is not wanted any more\n$/u,
    },
    "host-memory": { prints: /^\d+ MiB can be had\n(?:the memory is there|it comes as it is used)\n$/u },
    "machine-image": {
      args: async () => [await checkpoint()],
      prints: /^a wasm-1 is held, with [1-9]\d* pages that are not empty\n$/u,
    },
    "machine-wasm": {
      args: async () => [guest],
      prints: /^it can be left at \d+ places, and has \d+ bytes then\nWasmMachine .* FixedMachine .*\n$/u,
    },
    metrics: { prints: /^200: peregrine_example_total 1\n$/u },
    monitor: {
      args: async () => [await runningGuest()],
      prints:
        /^connected to peregrine \d+\.\d+\.\d+\+[0-9a-f]{7,}.*\nevent STOP\n\{ status: 'paused', running: false.* \}\n(?:event RESUME\n)?$/u,
    },
    "node-host": {
      args: async () => [guest, "i64", "--rounds", "2"],
      prints: /^(?:.+\n)+ended with status 0\n$/u,
    },
    protocol: { prints: /^a stream of pc-q35-10\.0\nall sections were read\n$/u },
    "shared-state": { prints: /^2 pages are dirty, the first one is page 3\n$/u },
    "source-agent": { prints: /^the guest is loaded, it is running there and postmigrate here\n$/u },
    "stream-inspector": {
      args: async () => [await checkpoint()],
      prints: /^a stream of wasm-1 with \d+ sections, \d{4,} bytes\nit has the RAM block wasm\.ram\n$/u,
    },
    transport: { prints: /^6 bytes came from 127\.0\.0\.1:\d+\n$/u },
  };

  /** @returns the socket of its monitor. */
  async function runningGuest(): Promise<string> {
    const agent = peregrine.start("run", join(WORKSPACE, "examples/guests/console.wasm"), "--name", "guest");
    await agent.printed("stdout", /\[1\] sum=0> /u);
    return join(peregrine.directory, "guest.sock");
  }

  /** @returns a file with the stream of a guest. */
  async function checkpoint(): Promise<string> {
    await runningGuest();
    const file = join(peregrine.directory, "guest.mig");
    expect(await peregrine.run("checkpoint", "guest", file)).toMatchObject({ status: 0 });
    return file;
  }

  const examples = LIBRARIES.flatMap(({ folder, directory }) =>
    examplesOf(directory).map((example, index) => ({ ...example, folder, index })),
  );

  test("there is one in every README", () => {
    const shown = examples.filter(({ kind }) => kind === "program").map(({ folder }) => folder);
    expect(shown).toEqual(LIBRARIES.map(({ folder }) => folder));
  });

  test.each(examples.filter(({ kind }) => kind === "program"))(
    "of $folder runs",
    async ({ folder, index }) => {
      const { args, prints } = RUNS[folder]!;
      const text = await node(exampleFile(folder, index, "program"), ...((await args?.()) ?? []));
      expect(text).toMatch(prints);
    },
  );

  test.each(examples.filter(({ kind }) => kind === "test"))(
    "of $folder for vitest passes",
    async (example) => {
      const file = exampleFile(example.folder, example.index, "test");
      const vitest = join(consumer(), "node_modules/vitest/vitest.mjs");
      await node(vitest, "run", file, "--reporter=json", "--outputFile=report.json");
      const report = JSON.parse(readFileSync(join(consumer(), "report.json"), "utf8")) as Record<
        string,
        unknown
      >;
      expect(report).toMatchObject({ numFailedTests: 0, numPendingTests: 0, success: true });
      expect(report["numPassedTests"]).toBeGreaterThan(10);
    },
  );
});
