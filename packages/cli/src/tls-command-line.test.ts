import { expect, test } from "vitest";
import type { CommandHandlers } from "./command-options.ts";
import { execute } from "./command-line.ts";

/** The options that a command line comes to. */
async function parsed(args: readonly string[]): Promise<{ readonly args: readonly unknown[] }> {
  const calls: (readonly unknown[])[] = [];
  const record = (...given: readonly unknown[]): Promise<number> => {
    calls.push(given);
    return Promise.resolve(0);
  };
  const handlers = new Proxy({}, { get: () => record }) as CommandHandlers;
  await execute("peregrine", args, handlers);
  expect(calls).toHaveLength(1);
  return { args: calls[0]! };
}

test.each([
  ["run", "a.wasm"],
  ["receive", "tcp:h:1"],
  ["migrate", "web", "tcp:h:1"],
  ["relay", "tcp:h:1", "tcp:h:2"],
  ["doctor"],
])("%s takes objects, whose paths are made absolute", async (...command) => {
  const creds = "tls-creds-x509,id=a,dir=pki,,1,endpoint=server";
  const list = "authz-list,id=b,rules.0.match=CN=x,,O=y,rules.0.policy=allow";
  const { args } = await parsed([...command, "--object", creds, "--object", list]);
  expect(args[0]).toMatchObject({
    objects: [
      { "qom-type": "tls-creds-x509", id: "a", dir: `${process.cwd()}/pki,1`, endpoint: "server" },
      { "qom-type": "authz-list", id: "b", rules: [{ match: "CN=x,O=y", policy: "allow" }] },
    ],
  });
});

test("receive and relay take TLS of their sources", async () => {
  const receive = await parsed(["receive", "tcp:h:1", "--tls-creds", "a", "--tls-authz", "b"]);
  expect(receive.args[0]).toMatchObject({ arrivalTls: { creds: "a", authz: "b" } });
  const intake = ["--intake-tls-creds", "a", "--intake-tls-authz", "b", "--tls-creds", "c"];
  const relay = await parsed(["relay", "tcp:h:1", "tcp:h:2", ...intake]);
  expect(relay.args[0]).toMatchObject({
    arrivalTls: { creds: "a", authz: "b" },
    send: { tls: { creds: "c", hostname: undefined } },
  });
});

test("doctor looks at this host, at a destination, or at an address to be listened on", async () => {
  const nothing = {
    uri: undefined,
    incoming: false,
    connects: true,
    objects: [],
    tls: { creds: undefined, hostname: undefined, authz: undefined },
    memory: undefined,
    program: undefined,
    json: false,
  };
  expect(await parsed(["doctor"])).toEqual({ args: [nothing] });
  const flags = [
    "--no-connect",
    "--tls-creds",
    "a",
    "--tls-hostname",
    "b",
    "--memory",
    "1G",
    "--program",
    "p",
    "--json",
  ];
  expect((await parsed(["doctor", "tcp:h:1", ...flags])).args).toEqual([
    {
      ...nothing,
      uri: "tcp:h:1",
      connects: false,
      tls: { creds: "a", hostname: "b", authz: undefined },
      memory: 2 ** 30,
      program: "p",
      json: true,
    },
  ]);
  expect((await parsed(["doctor", "tcp:h:1", "--incoming", "--tls-authz", "c"])).args[0]).toMatchObject({
    incoming: true,
    tls: { authz: "c" },
  });
});

test.each([
  [["run", "a.wasm", "--object", "id=a"], "'--object <type,id=ID,...>'"],
  [["run", "a.wasm", "--object", "authz-simple,id"], "has to be KEY=VALUE"],
  [["migrate", "a", "tcp:h:1", "--no-tls", "--tls-creds", "a"], "excludes '--tls-creds <id>'"],
  [["receive", "tcp:h:1", "--tls-authz", "b"], "'--tls-authz <id>' needs '--tls-creds <id>'"],
  [["receive", "tcp:h:1", "--machine", "image", "--tls-authz", "b"], "needs '--tls-creds <id>'"],
  [["receive", "tcp:h:1", "--tls-authz", "b", "--tls-creds", ""], "needs '--tls-creds <id>'"],
  [
    ["relay", "tcp:h:1", "tcp:h:2", "--intake-tls-authz", "b", "--tls-creds", "a"],
    "'--intake-tls-authz <id>' needs '--intake-tls-creds <id>'",
  ],
  [["doctor", "--incoming"], "needs a URI"],
  [["doctor", "--tls-creds", "a"], "needs a URI"],
  [["doctor", "tcp:h:1", "--tls-authz", "a"], "is for --incoming"],
  [["doctor", "tcp:h:1", "--incoming", "--tls-hostname", "a"], "is not for --incoming"],
  [["doctor", "tcp:h:1", "--incoming", "--no-connect"], "exclude each other"],
])("%j is refused", async (args, text) => {
  await expect(parsed(args)).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining(text) });
});
