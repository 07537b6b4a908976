import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tryLock } from "./name-lock.ts";
import { Registry } from "./registry.ts";
import type { NameClaim } from "./registry.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

let directory: TemporaryDirectory;
let registry: Registry;
const servers: Server[] = [];
const claims: NameClaim[] = [];

beforeEach(() => {
  directory = new TemporaryDirectory();
  registry = new Registry(directory.path);
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await Promise.all(claims.splice(0).map((claim) => claim.release()));
  directory[Symbol.dispose]();
});

/** Takes a name and listens, as an agent does. */
async function startAgent(name: string): Promise<NameClaim> {
  const claim = await registry.claim(name);
  claims.push(claim);
  await listenOn(claim.socket);
  return claim;
}

function listenOn(path: string): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  return new Promise((resolve) => {
    server.listen({ path }, resolve);
  });
}

/** Leaves a socket that nobody listens on, as a process does that was killed. */
function leaveDeadSocket(path: string): void {
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  expect(() => execFileSync(process.execPath, ["-e", script])).toThrow();
  expect(existsSync(path)).toBe(true);
}

const inUse = expect.objectContaining({ code: "NAME_IN_USE" });

test("a name is taken, used, and free again", async () => {
  const claim = await registry.claim("web");
  expect(claim).toMatchObject({ name: "web", socket: registry.socketOf("web") });
  await listenOn(claim.socket);
  await expect(registry.claim("web")).rejects.toEqual(inUse);
  servers.pop()!.close();
  await claim.release();
  await (await registry.claim("web")).release();
  expect(readdirSync(directory.path)).toEqual([]);
});

test("of many that take a name at once, one gets it", async () => {
  const attempts = Array.from({ length: 20 }, () => startAgent("web"));
  const results = await Promise.allSettled(attempts);
  const won = results.filter((result) => result.status === "fulfilled");
  expect(won).toHaveLength(1);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toEqual(inUse);
  }
});

test("of many that find a dead socket at once, one gets the name", async () => {
  leaveDeadSocket(registry.socketOf("web"));
  const attempts = Array.from({ length: 20 }, () => startAgent("web"));
  const won = (await Promise.allSettled(attempts)).filter((result) => result.status === "fulfilled");
  expect(won).toHaveLength(1);
  expect(await registry.names()).toEqual(["web"]);
});

test("a name whose holder is about to go is waited for", async () => {
  const holder = await tryLock(directory.path, "web");
  const claim = registry.claim("web");
  await holder!.release();
  claims.push(await claim);
  expect(claims).toMatchObject([{ name: "web" }]);
});

test("one that listens without a lock keeps its name and its socket", async () => {
  await listenOn(registry.socketOf("web"));
  await expect(registry.claim("web")).rejects.toEqual(inUse);
  expect(await registry.names()).toEqual(["web"]);
});

test("names that are made up are numbered", async () => {
  claims.push(...(await Promise.all(Array.from({ length: 5 }, () => registry.claimFree("lua")))));
  expect(claims.map(({ name }) => name).sort()).toEqual(["lua", "lua-2", "lua-3", "lua-4", "lua-5"]);
});

test("the dead are left out of the list and cleaned up", async () => {
  leaveDeadSocket(registry.socketOf("dead"));
  for (const name of ["b", "a"]) await listenOn(registry.socketOf(name));
  expect(await registry.names()).toEqual(["a", "b"]);
  expect(existsSync(registry.socketOf("dead"))).toBe(false);
});

test("an agent that starts is not listed, and its name is not cleaned up", async () => {
  const claim = await registry.claim("web");
  claims.push(claim);
  expect(await registry.names()).toEqual([]);
  await listenOn(claim.socket);
  expect(await registry.names()).toEqual(["web"]);
});

test("a name that leads out of the directory is refused", async () => {
  await expect(registry.claim("../web")).rejects.toEqual(expect.objectContaining({ code: "BAD_PARAMETER" }));
});
