import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { failure } from "../testing/opened.ts";
import { bothSides } from "../testing/tls-sides.ts";
import { parseUri } from "../uri.ts";
import { matchesGlob } from "./authorization.ts";
import { parseObject } from "./object-properties.ts";
import { SecurityObjects } from "./security-objects.ts";

let folder: string;
let objects: SecurityObjects;
const TCP = parseUri("tcp:h:1");
const named = (creds: string, authz = "", hostname = ""): Parameters<SecurityObjects["client"]>[0] => ({
  "tls-creds": creds,
  "tls-hostname": hostname,
  "tls-authz": authz,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  await bothSides(join(folder, "pki"));
  await bothSides(join(folder, "psk"), "psk");
  await writeFile(join(folder, "list.json"), '{"policy": "allow"}');
  objects = new SecurityObjects();
  for (const text of [
    `tls-creds-x509,id=server,dir=${folder}/pki,endpoint=server`,
    `tls-creds-x509,id=open,dir=${folder}/pki,endpoint=server,verify-peer=off`,
    `tls-creds-x509,id=client,dir=${folder}/pki`,
    `{"qom-type": "tls-creds-psk", "id": "psk", "dir": "${folder}/psk", "endpoint": "client", "username": "other"}`,
    "authz-simple,id=simple,identity=CN=a,,O=b",
    "authz-list,id=list,policy=deny,rules.1.match=x,rules.1.policy=allow,rules.0.match=y*,rules.0.policy=deny,rules.0.format=glob",
    `authz-list-file,id=file,filename=${folder}/list.json`,
    `authz-list-file,id=once,filename=${folder}/list.json,refresh=off`,
  ]) {
    await objects.add(parseObject(text));
  }
});

afterAll(() => rm(folder, { recursive: true }));

describe("objects", () => {
  test("are no more than there may be, and there is room again when one is removed", async () => {
    const many = new SecurityObjects();
    const add = (id: number): Promise<void> => many.add(parseObject(`authz-simple,id=o${id},identity=x`));
    for (let id = 0; id < 256; id++) await add(id);
    await expect(add(256)).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: "There are 256 objects already: remove one with object-del",
    });
    many.remove("o0");
    await add(256);
  });

  test("are found by the parameters", () => {
    expect(objects.client(named(""), TCP)).toBeUndefined();
    expect(objects.client(named("client", "", "n"), TCP)).toMatchObject({
      credentials: { kind: "x509", endpoint: "client", verifyPeer: true },
      hostname: "n",
    });
    expect(objects.client(named("psk"), TCP)).toMatchObject({ credentials: { username: "other" } });
    expect(objects.server(named("server", "simple"), TCP)).toMatchObject({
      credentials: { endpoint: "server" },
      authorization: { kind: "simple", identity: "CN=a,O=b" },
    });
    expect(objects.server(named("server", "list"), TCP)?.authorization).toEqual({
      kind: "list",
      id: "list",
      policy: "deny",
      rules: [
        { match: "y*", policy: "deny", format: "glob" },
        { match: "x", policy: "allow", format: "exact" },
      ],
    });
    expect(objects.server(named("server", "file"), TCP)?.authorization).toMatchObject({
      contents: undefined,
    });
    expect(objects.server(named("server", "once"), TCP)?.authorization).toMatchObject({
      contents: '{"policy": "allow"}',
    });
    expect(objects.server(named("open"), TCP)).toMatchObject({ credentials: { verifyPeer: false } });
  });

  test("nothing goes over a network that is in a file, and what has no TLS is refused", () => {
    expect(objects.client(named("client"), parseUri("file:/x"))).toBeUndefined();
    for (const uri of ["exec:cat", "fd:3", "ws://h:1"]) {
      expect(() => objects.client(named("client"), parseUri(uri))).toThrow(/There is no TLS over/u);
    }
  });

  test.each([
    ["none", "", "No TLS credentials with id 'none'"],
    ["simple", "", "Object with id 'simple' is not TLS credentials"],
    ["client", "", "Expected TLS credentials for a server endpoint, and 'client' is for a client"],
    ["server", "none", "No authorization object with id 'none'"],
    ["server", "client", "Object with id 'client' is not an authorization object"],
    ["open", "simple", "'simple' (tls-authz) needs certificates of clients, and 'open' has verify-peer=off"],
  ])("%s with %j does not do", (creds, authz, message) => {
    expect(() => objects.server(named(creds, authz), TCP)).toThrow(
      expect.objectContaining({ code: "BAD_PARAMETER", message }),
    );
  });

  test("are forgotten, and their ids are free again", async () => {
    const own = new SecurityObjects();
    const add = (): Promise<void> => own.add({ "qom-type": "authz-simple", id: "a", identity: "b" });
    await add();
    expect((await failure(add())).message).toBe(
      "attempt to add duplicate property 'a' to object (type 'container')",
    );
    own.remove("a");
    await add();
    expect(() => own.remove("b")).toThrow("object 'b' not found");
  });

  test.each([
    ["secret,id=a", "Parameter 'qom-type' does not accept value 'secret'"],
    ["authz-simple,identity=b", "Parameter 'id' is missing"],
    ["authz-simple,id=1", "Parameter 'id' does not accept value '1'"],
    ["authz-simple,id=a,identity=b,more=c", "Parameter 'more' is unexpected"],
    ["tls-creds-x509,id=a,dir=/x,endpoint=both", "Parameter 'endpoint' does not accept value 'both'"],
    ["tls-creds-x509,id=a,dir=/x,verify-peer=maybe", "Parameter 'verify-peer' does not accept value 'maybe'"],
    [
      "tls-creds-psk,id=a,dir=/x,endpoint=server,username=b",
      "Parameter 'username' is for the endpoint 'client'",
    ],
    ["authz-list,id=a,rules.0.match=x", "Parameter 'rules.0.policy' is missing"],
  ])("%s is refused", async (text, message) => {
    const error = await failure(new SecurityObjects().add(parseObject(text)));
    expect(error).toMatchObject({ code: "BAD_PARAMETER", message });
  });

  test.each([
    "",
    "id=a",
    "authz-simple,id",
    "a,id=x,id=y",
    "a,b.0=x,b=y",
    "a,b=x,b.0=y",
    "a,r.1=x",
    "a,__proto__=x",
    "{no json",
  ])("%j is no object", (text) => {
    expect(() => parseObject(text)).toThrow(expect.objectContaining({ code: "BAD_PARAMETER" }));
  });

  test.each(["[]", "{}", '{"rules": [{"match": 1, "policy": "allow"}]}', "no json"])(
    "%j is no list of rules",
    async (text) => {
      const path = join(folder, "bad.json");
      await writeFile(path, text);
      const adding = new SecurityObjects().add({ "qom-type": "authz-list-file", id: "a", filename: path });
      if (text === "{}") await adding;
      else expect((await failure(adding)).code).toBe("BAD_CREDENTIALS");
    },
  );
});

describe("a file with a list", () => {
  const add = (path: string): Promise<void> =>
    new SecurityObjects().add({ "qom-type": "authz-list-file", id: "a", filename: path });

  test("has 1 MiB at most", async () => {
    const path = join(folder, "large.json");
    await writeFile(path, "{}".padEnd(2 ** 20));
    await add(path);
    await writeFile(path, "{}".padEnd(2 ** 20 + 1));
    expect(await failure(add(path))).toMatchObject({
      code: "BAD_CREDENTIALS",
      message: `'${path}' is too large for a list of rules`,
    });
  });

  test.each(["directory", "pipe", "device"])("is a file, and no %s", async (kind) => {
    const path = kind === "device" ? "/dev/null" : join(folder, kind);
    if (kind === "directory") await mkdir(path);
    if (kind === "pipe") execFileSync("mkfifo", [path]);
    expect(await failure(add(path))).toMatchObject({
      code: "BAD_CREDENTIALS",
      message: `'${path}' is no file`,
    });
  });

  test.runIf(process.platform === "linux")("is read no further when it has more than it says", async () => {
    const variables = Array.from({ length: 11 }, (_, index) => [`V${index}`, "x".repeat(100_000)]);
    const child = spawn("cat", { env: { ...process.env, ...Object.fromEntries(variables) } });
    onTestFinished(() => void child.kill());
    await once(child, "spawn");
    const path = `/proc/${child.pid}/environ`;
    expect((await stat(path)).size).toBe(0);
    expect((await failure(add(path))).message).toBe(`'${path}' is too large for a list of rules`);
  });
});

test("globs mean what the same regular expressions mean", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  fc.assert(
    fc.property(letters, fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 }), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`, "u");
      expect(matchesGlob(pattern, text)).toBe(expression.test(text));
    }),
    { numRuns: 1000 },
  );
});

test("a glob that matches in many ways takes no long time", () => {
  expect(matchesGlob(`${"*a".repeat(50)}b`, "a".repeat(5000))).toBe(false);
});
