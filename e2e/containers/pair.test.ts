import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseTag, provideBase } from "./base-image.ts";
import { attempt, run } from "../src/command.ts";
import type { Ended } from "../src/command.ts";
import { findEngine } from "./engine.ts";
import type { Engine } from "./engine.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROJECT = `peregrine-e2e-${process.pid}`;
/** What the image is told that it is built from: git's files do not come into its build. */
const COMMIT = "1234567";
const IMAGE = `localhost/${PROJECT}:pair`;

const found = await findEngine();
if (typeof found === "string") {
  process.stderr.write(`The tests with containers are skipped: ${found}; see scripts/install-podman.sh\n`);
}

interface State {
  readonly Status: string;
  readonly ExitCode: number;
  readonly Health?: { readonly Status: string };
}

describe.skipIf(typeof found === "string")("two containers", () => {
  const engine = found as Engine;
  const { name } = engine;
  const environment = { PEREGRINE_IMAGE: IMAGE };
  const tidy: (() => Promise<unknown>)[] = [];

  /** Runs a command of compose on the file as it is. */
  const compose = (...args: readonly string[]): Promise<Ended> =>
    attempt([...engine.compose, "-p", PROJECT, ...args], { environment, directory: ROOT });

  /** Id of the container of a service. Both programs that take compose files put this label on it. */
  const container = async (service: string): Promise<string> => {
    const labels = [`com.docker.compose.project=${PROJECT}`, `com.docker.compose.service=${service}`];
    const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
    return (await run([name, "ps", "--all", "--quiet", ...filters])).trim();
  };

  const inspect = async (id: string): Promise<Record<string, never> & { readonly State: State }> =>
    JSON.parse(await run([name, "inspect", id]))[0];

  const until = async (what: string, condition: () => Promise<boolean>): Promise<void> => {
    for (const end = performance.now() + 60_000; !(await condition()); await delay(200)) {
      if (performance.now() > end) throw new Error(`not within 60 s: ${what}`);
    }
  };

  beforeAll(async () => {
    const dockerfile = join(ROOT, "Dockerfile");
    const tag = await baseTag(dockerfile);
    // podman-compose leaves its network.
    tidy.push(() => attempt([name, "network", "rm", `${PROJECT}_migration`]));
    tidy.push(() => compose("down", "--volumes"));
    const commit = ["--build-arg", `PEREGRINE_COMMIT=${COMMIT}`];
    const built = [
      name,
      "build",
      ...engine.buildFlags,
      ...commit,
      "--tag",
      IMAGE,
      "--file",
      dockerfile,
      ROOT,
    ];
    if (await provideBase(engine, tag)) tidy.unshift(() => run([name, "rmi", tag]));
    await run(built);
    tidy.splice(-2, 0, () => run([name, "rmi", IMAGE]));
  }, 600_000);

  afterAll(async () => {
    // The containers first, then what they were made from.
    const failures: unknown[] = [];
    for (const step of tidy.reverse()) await step().catch((error: unknown) => failures.push(error));
    expect(failures).toEqual([]);
    const label = `label=com.docker.compose.project=${PROJECT}`;
    expect(await run([name, "ps", "--all", "--quiet", "--filter", label])).toBe("");
    expect(await run([name, "network", "ls", "--format", "{{.Name}}"])).not.toContain(PROJECT);
    expect(await run([name, "volume", "ls", "--quiet", "--filter", label])).toBe("");
  }, 120_000);

  test("the image holds no secrets and no sources, and is not root's", async () => {
    const [image] = JSON.parse(await run([name, "image", "inspect", IMAGE]));
    expect(image.Config.User).toBe("10001:10001");
    // Podman has it in another place.
    expect((image.Config.Healthcheck ?? image.Healthcheck ?? image.HealthCheck).Test).toEqual([
      "CMD",
      "node",
      "/opt/peregrine/healthcheck.mjs",
    ]);
    const names = (image.Config.Env as string[]).map((one) => one.split("=")[0]!);
    expect(names.filter((one) => /token|secret|password|key$/iu.test(one))).toEqual([]);
    const start = [name, "run", ...engine.runFlags, "--rm", "--read-only"];
    const files = await run([...start, "--entrypoint", "find", IMAGE, "/opt/peregrine", "-type", "f"]);
    expect(files).toContain("/opt/peregrine/dist/peregrine.js\n");
    // Of packages of others nothing is said here.
    const own = files.split("\n").filter((file) => !file.includes("/node_modules/"));
    expect(own.filter((file) => /\.ts$|\.pem$|\.npmrc$|\.git/u.test(file))).toEqual([]);
    const { version } = JSON.parse(await readFile(join(ROOT, "packages/cli/package.json"), "utf8"));
    expect(await run([...start, IMAGE, "--version"])).toBe(`peregrine ${version} (${COMMIT})\n`);
  });

  test("a program moves from one to the other and is the same run; both were healthy", async () => {
    const up = await compose("up", "--detach", "--no-build", "source", "destination");
    expect(up, up.stderr).toMatchObject({ status: 0 });
    for (const service of ["source", "destination"]) {
      const id = await container(service);
      await until(`${service} is healthy`, async () => {
        if (name === "docker") return (await inspect(id)).State.Health?.Status === "healthy";
        // Without systemd nobody does it by the clock.
        return (await attempt([name, "healthcheck", "run", id])).status === 0;
      });
      const { HostConfig: host } = await inspect(id);
      expect(host).toMatchObject({ ReadonlyRootfs: true, Privileged: false });
      expect(await run([name, "exec", id, "id", "-u"])).toBe("10001\n");
      const status = await run([name, "exec", id, "cat", "/proc/1/status"]);
      expect(status).toMatch(/^CapEff:\s+0+$/mu);
      expect(status).toMatch(/^NoNewPrivs:\s+1$/mu);
      // The shell of the entry point has become the agent.
      expect(await run([name, "exec", id, "cat", "/proc/1/cmdline"])).toMatch(/^node\0/u);
    }
    const job = await compose("run", "--no-deps", "--rm", "-T", "job");
    expect(job, job.stderr).toMatchObject({ status: 0 });
    const [, here, there] = /job: moved; (\d+) sweeps at the source and (\d+) at the destination/u.exec(
      job.stdout,
    )!;
    expect(Number(here)).toBeGreaterThanOrEqual(3);
    expect(Number(there)).toBeGreaterThanOrEqual(1);
    for (const service of ["source", "destination"]) {
      const id = await container(service);
      // Of the destination it is the program's own.
      await until(`${service} has ended`, async () => (await inspect(id)).State.Status === "exited");
      expect((await inspect(id)).State).toMatchObject({ ExitCode: 0 });
    }
  });

  test("an agent ends in order when its container is stopped, and one that is frozen is not healthy", async () => {
    const id = `${PROJECT}-stopped`;
    tidy.push(() => run([name, "rm", "--force", "--volumes", id]));
    const flags = [...engine.runFlags, "--detach", "--read-only", "--tmpfs", "/tmp", "--name", id];
    await run([name, "run", ...flags, IMAGE, "receive", "tcp:127.0.0.1:4444", "--name", "w"]);
    const check = [name, "exec", id, "node", "/opt/peregrine/healthcheck.mjs"];
    await until("it is healthy", async () => (await attempt(check)).status === 0);
    expect(await run(check)).toBe("w: inmigrate\n");
    await run([name, "kill", "--signal", "STOP", id]);
    expect(await attempt(check)).toMatchObject({
      status: 1,
      stdout: "unhealthy: the agent of 'w' does not answer\n",
    });
    await run([name, "kill", "--signal", "CONT", id]);
    await run([name, "stop", "--time", "60", id]);
    // 143 is the agent's own status for SIGTERM; 137 would be that of being killed after a minute.
    expect((await inspect(id)).State).toMatchObject({ ExitCode: 143 });
  });
});
