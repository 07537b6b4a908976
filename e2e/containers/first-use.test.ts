import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attempt, run } from "../src/command.ts";
import { docBlocks } from "../src/docs/doc-block.ts";
import { baseTag, provideBase } from "./base-image.ts";
import { findEngine } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { ended, Newcomer } from "./newcomer.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NAME = `peregrine-first-use-${process.pid}`;
const IMAGE = `localhost/${NAME}`;
/** In the container. */
const CHECKOUT = "/home/node/peregrine";

/** What somebody has who finds the README: Debian with git, Node 20 and npm, and a browser. The repository lies in a file. */
const DOCKERFILE = `
ARG NODE_IMAGE
FROM \${NODE_IMAGE}
RUN apt-get -qq -o APT::Sandbox::User=root update \\
 && DEBIAN_FRONTEND=noninteractive apt-get -qq -o APT::Sandbox::User=root install -y --no-install-recommends \\
      ca-certificates git chromium fonts-dejavu-core
RUN npm install --silent --global --prefix /opt/node-20 node-linux-${process.arch}@20 \\
 && ln -sf /opt/node-20/lib/node_modules/node-linux-${process.arch}/bin/node /usr/local/bin/node
COPY peregrine.bundle /
USER node
`;

const found = await findEngine();
if (typeof found === "string") {
  process.stderr.write(
    `The test in an empty container is skipped: ${found}; see scripts/install-podman.sh\n`,
  );
}

describe.skipIf(typeof found === "string")("somebody who has the README and an empty container", () => {
  const engine = found as Engine;
  const { name } = engine;
  const tidy: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const tag = await baseTag(join(ROOT, "Dockerfile"));
    const work = await mkdtemp(join(tmpdir(), "peregrine-first-use-"));
    tidy.push(() => rm(work, { recursive: true }));
    if (await provideBase(engine, tag)) tidy.push(() => run([name, "rmi", tag]));
    await run(["git", "-C", ROOT, "bundle", "create", join(work, "peregrine.bundle"), "HEAD"]);
    await writeFile(join(work, "Dockerfile"), DOCKERFILE);
    const base = ["--build-arg", `NODE_IMAGE=${tag}`];
    await run([name, "build", ...engine.buildFlags, ...base, "--tag", IMAGE, work], { timeout: 600_000 });
    tidy.push(() => run([name, "rmi", IMAGE]));
    const start = ["run", ...engine.runFlags, "--detach", "--init", "--network", "host", "--name", NAME];
    await run([name, ...start, IMAGE, "sleep", "infinity"]);
    tidy.push(() => run([name, "rm", "--force", "--time", "0", NAME]));
  }, 900_000);

  afterAll(async () => {
    const failures: unknown[] = [];
    for (const step of tidy.reverse()) await step().catch((error: unknown) => failures.push(error));
    expect(failures).toEqual([]);
  }, 120_000);

  test("sees the demonstration, runs a program, moves it, and the page shows that", async () => {
    expect((await attempt([name, "exec", NAME, "node", "--version"])).stdout).toMatch(/^v20\./u);
    await run([name, "exec", NAME, "git", "clone", "-q", "/peregrine.bundle", CHECKOUT]);
    const newcomer = new Newcomer(engine, NAME, CHECKOUT);
    // What is committed, and not what lies here.
    const readme = await newcomer.read("cat README.md");
    const blocks = docBlocks("README.md", readme);
    const [demo, ...use] = blocks.filter(({ language }) => language === "sh").slice(0, -1);
    expect((await newcomer.follow(demo!)).output()).toMatch(/the same/u);

    let page: ReturnType<Newcomer["type"]> | undefined;
    for (const block of use) {
      // Somebody looks before the program is moved.
      if (block.text.startsWith("peregrine migrate")) {
        expect(page).toBeDefined();
        await page!.until("both guests are shown");
      }
      const terminal = await newcomer.follow(block);
      if (!block.text.startsWith("peregrine dashboard")) continue;
      const [, url] = /The dashboard is at (\S+)/u.exec(terminal.output())!;
      page = newcomer.type(`node_modules/.bin/node e2e/containers/page-reader.ts '${url}'`);
    }
    expect(await ended(page!), page!.output()).toBe(0);
    expect(page!.output()).toMatch(/web\s.*Completed: the guest stood still for/su);

    expect(JSON.parse(await newcomer.read("peregrine info web-2 --json"))).toMatchObject({
      name: "web-2",
      status: "running",
      owner: "owner",
    });
    const progress = await newcomer.read("cat data/progress");
    await newcomer.untilSucceeds(`test "$(cat data/progress)" != "${progress.trim()}"`);
  });
});
