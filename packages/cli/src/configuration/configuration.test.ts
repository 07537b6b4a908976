import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MigrationError } from "@peregrine/protocol";
import { afterAll, expect, test } from "vitest";
import { agentCommands } from "../command-line.ts";
import { parsed } from "../testing/recorded-command.ts";
import { TemporaryDirectory } from "../testing/temporary-directory.ts";
import { MOST_BYTES } from "./configuration-file.ts";
import { configurationKeys } from "./configuration-keys.ts";

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
writeFileSync(join(directory.path, "token"), "correct-horse-battery-staple", { mode: 0o600 });

function file(text: string): string {
  const path = join(directory.path, "web.toml");
  writeFileSync(path, text);
  return path;
}

/** What a file is refused with. */
async function refusal(text: string, ...args: readonly string[]): Promise<string> {
  try {
    await parsed([...(args.length === 0 ? ["run"] : args), "--config", file(text)]);
  } catch (error) {
    const { code, message } = MigrationError.from(error);
    return `${code} ${message.replaceAll(`${directory.path}/`, "")}`;
  }
  throw new Error("it was taken");
}

const MAC = "52:54:00:12:34:56";

/** Each flag, and the same in a file. What a flag needs besides is given in both ways. */
const FLAGS: Readonly<
  Record<string, { readonly flag: readonly string[]; readonly toml: string; readonly also?: string[] }>
> = {
  object: {
    flag: [
      "--object",
      "tls-creds-x509,id=a,dir=/a,,b,endpoint=server",
      "--object",
      "authz-simple,id=z,identity=CN=x",
    ],
    toml: `object = [{ qom-type = "tls-creds-x509", id = "a", dir = "/a,b", endpoint = "server" }, "authz-simple,id=z,identity=CN=x"]`,
  },
  name: { flag: ["--name", "web"], toml: `name = "web"` },
  qmp: { flag: ["--qmp", "unix:/a", "--qmp", "unix:/b"], toml: `qmp = ["unix:/a", "unix:/b"]` },
  "qmp-origin": { flag: ["--qmp-origin", "https://a.example"], toml: `qmp-origin = ["https://a.example"]` },
  monitor: { flag: ["--monitor", "unix:/m"], toml: `monitor = ["unix:/m"]` },
  "monitor-token-file": {
    flag: ["--monitor-token-file", join(directory.path, "token")],
    toml: `monitor-token-file = "${join(directory.path, "token")}"`,
  },
  "monitor-tls-creds": {
    flag: ["--monitor-tls-creds", "a"],
    toml: `monitor-tls-creds = "a"`,
    also: ["--qmp", "tcp:127.0.0.1:0", "--monitor-token-file", join(directory.path, "token")],
  },
  "monitor-tls-authz": {
    flag: ["--monitor-tls-authz", "z"],
    toml: `monitor-tls-authz = "z"`,
    also: ["--qmp", "tcp:127.0.0.1:0", "--monitor-tls-creds", "a"],
  },
  metrics: { flag: ["--metrics", "unix:/m"], toml: `metrics = ["unix:/m"]` },
  "metrics-token-file": {
    flag: ["--metrics-token-file", join(directory.path, "token")],
    toml: `metrics-token-file = "${join(directory.path, "token")}"`,
    also: ["--metrics", "127.0.0.1:9000"],
  },
  dashboard: {
    flag: ["--dashboard", "127.0.0.1:8080"],
    toml: `dashboard = "127.0.0.1:8080"`,
    also: ["--monitor-token-file", join(directory.path, "token")],
  },
  "log-format": { flag: ["--log-format", "json"], toml: `log-format = "json"` },
  "log-level": { flag: ["--log-level", "debug"], toml: `log-level = "debug"` },
  "allow-exec": { flag: ["--allow-exec"], toml: "allow-exec = true" },
  "allow-host-uris": { flag: ["--allow-host-uris"], toml: "allow-host-uris = true" },
  keep: { flag: ["--keep"], toml: "keep = true" },
  state: { flag: ["--state", "/state"], toml: `state = "/state"` },
  keepalive: { flag: ["--keepalive", "7"], toml: "keepalive = 7" },
  dir: { flag: ["--dir", "/a::/b", "--dir", "/c::/d"], toml: `dir = ["/a::/b", "/c::/d"]` },
  drive: {
    flag: ["--drive", "id=a,file=/x,,y,lock=off", "--drive", "id=b,file=/z"],
    toml: `drive = [{ id = "a", file = "/x,y", lock = false }, "id=b,file=/z"]`,
  },
  nic: {
    flag: ["--nic", `mac=${MAC},netdev=dgram:h:1,id=lan`],
    toml: `[[nic]]\nmac = "${MAC}"\nnetdev = "dgram:h:1"\nid = "lan"`,
  },
  paused: { flag: ["-S"], toml: "paused = true" },
  "on-arrival": { flag: ["--on-arrival", "a b"], toml: `on-arrival = "a b"` },
  "on-departure": { flag: ["--on-departure", "c"], toml: `on-departure = "c"` },
  "hook-timeout": { flag: ["--hook-timeout", "9"], toml: "hook-timeout = 9" },
  env: { flag: ["--env", "A=b=c", "--env", "N=1"], toml: `[env]\nA = "b=c"\nN = 1` },
  stack: { flag: ["--stack", "8"], toml: "stack = 8" },
  migrate: { flag: ["--no-migrate"], toml: "migrate = false" },
  parallel: { flag: ["--parallel", "3"], toml: "parallel = 3" },
  "max-ram": { flag: ["--max-ram", "512M"], toml: `max-ram = "512M"` },
  "tls-creds": { flag: ["--tls-creds", "a"], toml: `tls-creds = "a"` },
  "tls-authz": { flag: ["--tls-authz", "z"], toml: `tls-authz = "z"`, also: ["--tls-creds", "a"] },
  "source-dirs": { flag: ["--source-dirs"], toml: "source-dirs = true" },
  "exit-on-error": { flag: ["--no-exit-on-error"], toml: "exit-on-error = false" },
  machine: { flag: ["--machine", "image"], toml: `machine = "image"` },
  store: { flag: ["--store", "/s"], toml: `store = "/s"`, also: ["--machine", "image"] },
  uuid: {
    flag: ["--uuid", "550e8400-e29b-41d4-a716-446655440000"],
    toml: `uuid = "550e8400-e29b-41d4-a716-446655440000"`,
    also: ["--machine", "image"],
  },
  "intake-parallel": { flag: ["--intake-parallel", "2"], toml: "intake-parallel = 2" },
  "intake-tls-creds": { flag: ["--intake-tls-creds", "a"], toml: `intake-tls-creds = "a"` },
  "intake-tls-authz": {
    flag: ["--intake-tls-authz", "z"],
    toml: `intake-tls-authz = "z"`,
    also: ["--intake-tls-creds", "a"],
  },
  json: { flag: ["--json"], toml: "json = true" },
  bandwidth: { flag: ["--bandwidth", "64M"], toml: `bandwidth = "64M"` },
  downtime: { flag: ["--downtime", "50"], toml: "downtime = 50" },
  xbzrle: { flag: ["--xbzrle=32M"], toml: `xbzrle = "32M"` },
  "return-path": { flag: ["--no-return-path"], toml: "return-path = false" },
  "tls-hostname": { flag: ["--tls-hostname", "b"], toml: `tls-hostname = "b"` },
  tls: { flag: ["--no-tls"], toml: "tls = false" },
};

const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  run: ["a.wasm"],
  receive: ["tcp:h:1"],
  restore: ["/f"],
  relay: ["tcp:h:1", "tcp:h:2"],
};

const OPTION_KEYS = agentCommands().flatMap((command) =>
  configurationKeys(command)
    .filter(({ target }) => target.kind === "option")
    .map(({ name }) => [command.name(), name] as const),
);

test.each(OPTION_KEYS)("%s: the key %s is the flag", async (command, name) => {
  const { flag, toml, also = [] } = FLAGS[name]!;
  // Of a relay it is a virtual machine in any case.
  const args = [command, ...ARGUMENTS[command]!, ...(command === "relay" && name === "uuid" ? [] : also)];
  const expected = await parsed([...args, ...flag]);
  expect(await parsed([...args, "--config", file(toml)])).toEqual(expected);
  // Otherwise neither has done anything.
  expect(expected).not.toEqual(await parsed(args));
});

test("every flag of an agent has a key, but those that choose the file or say what it is", () => {
  const flags = agentCommands().flatMap(({ options }) => options.map(({ long }) => long!));
  const keys = new Set(OPTION_KEYS.map(([, name]) => name));
  const missing = flags.filter((long) => !keys.has(long.replace(/^--(?:no-)?/u, "")));
  expect(new Set(missing)).toEqual(new Set(["--config"]));
});

test("arguments are keys, too", async () => {
  const path = file(`program = "a.wasm"\nargs = ["-x", "--name", 1]\nname = "web"`);
  expect(await parsed(["--config", path], "source-agent")).toEqual(
    await parsed(["run", "a.wasm", "--name", "web", "--", "-x", "--name", "1"]),
  );
  expect(await parsed(["--config", file(`uri = "tcp:h:1"`)], "dest-agent")).toEqual(
    await parsed(["receive", "tcp:h:1"]),
  );
  expect(await parsed(["restore", "--config", file(`file = "/f"`)])).toEqual(await parsed(["restore", "/f"]));
  const both = file(`in = "tcp:h:1"\nout = "tcp:h:2"`);
  expect(await parsed(["relay", "--config", both])).toEqual(await parsed(["relay", "tcp:h:1", "tcp:h:2"]));
  expect(await parsed(["relay", "tcp:h:3", "--config", both])).toEqual(
    await parsed(["relay", "tcp:h:3", "tcp:h:2"]),
  );
});

test("the command line takes the place of what the file says, lists and arguments as a whole", async () => {
  const path = file(
    `program = "a.wasm"\nargs = ["1"]\nname = "web"\ndir = ["/a::/b", "/c::/d"]\nkeep = true\nstack = 8`,
  );
  expect(
    await parsed(["run", "b.wasm", "--config", path, "--dir", "/e::/f", "--name", "x", "--stack", "64"]),
  ).toEqual(await parsed(["run", "b.wasm", "--dir", "/e::/f", "--name", "x", "--keep"]));
});

test("what is true or false anyway can be said", async () => {
  const path = file("keep = false\nmigrate = true\npaused = false");
  expect(await parsed(["run", "a.wasm", "--config", path])).toEqual(await parsed(["run", "a.wasm"]));
});

test("a flag whose value may be left out is not given where it is false", async () => {
  const relay = ["relay", "tcp:h:1", "tcp:h:2"];
  expect(await parsed([...relay, "--config", file("xbzrle = true")])).toEqual(
    await parsed([...relay, "--xbzrle"]),
  );
  expect(await parsed([...relay, "--config", file("xbzrle = false")])).toEqual(await parsed(relay));
  expect(await parsed([...relay, "--config", file("xbzrle = false\nparallel = 2")])).toEqual(
    await parsed([...relay, "--parallel", "2"]),
  );
});

test.each([
  ["", "USAGE missing required argument 'program.wasm'; see peregrine --help"],
  [
    `program = "a"\nfoo = 1`,
    "BAD_CONFIGURATION web.toml:2: there is no key 'foo' for peregrine run; docs/configuration.md lists them",
  ],
  [
    `program = "a"\n\nkeepalive = "x"`,
    "BAD_CONFIGURATION web.toml:3: the key 'keepalive' is wrong: It has to be a whole number from 0 to 3600.",
  ],
  [`keep = "yes"`, "BAD_CONFIGURATION web.toml:1: the key 'keep' is wrong: It has to be true or false."],
  [`qmp = "unix:/a"`, "BAD_CONFIGURATION web.toml:1: the key 'qmp' is wrong: It has to be a list of texts."],
  [
    `dir = [\n  "/a::/b",\n  "/c",\n]`,
    "BAD_CONFIGURATION web.toml:3: the key 'dir' is wrong: It has to be HOST::GUEST.",
  ],
  [
    `# a\n[[nic]]\nmac = "${MAC}"\nnetdev = "dgram:h:1"\n[[nic]]\nmac = "x"\nnetdev = "dgram:h:1"`,
    /^BAD_CONFIGURATION web\.toml:5: the key 'nic' is wrong: .*x/u,
  ],
  [
    `name = 2020-01-01`,
    "BAD_CONFIGURATION web.toml:1: the key 'name' is wrong: It has to be a text or a number.",
  ],
  [`program = "a"\nname = `, /^BAD_CONFIGURATION web\.toml:2: it is no TOML: /u],
  [`keep = true\nkeep = true`, /^BAD_CONFIGURATION web\.toml:2: it is no TOML: /u],
  [
    `program = "a\\u0000b"`,
    "BAD_CONFIGURATION web.toml:1: the key 'program' is wrong: It must not have a zero byte.",
  ],
  [
    "#".repeat(MOST_BYTES + 1),
    `BAD_CONFIGURATION The configuration file web.toml has more than ${MOST_BYTES} bytes`,
  ],
] as const)("%# is refused with its key and line", async (text, expected) => {
  const message = await refusal(text);
  if (typeof expected === "string") expect(message).toBe(expected);
  else expect(message).toMatch(expected);
});

test("a relay has no records of who has a guest: it passes on what others decide", async () => {
  expect(await refusal(`state = "/s"`, "relay", "tcp:h:1", "tcp:h:2")).toBe(
    "BAD_CONFIGURATION web.toml:1: there is no key 'state' for peregrine relay; docs/configuration.md lists them",
  );
});

test("what a flag needs besides, its key needs, too", async () => {
  expect(await refusal(`tls-authz = "z"`, "receive", "tcp:h:1")).toBe(
    "USAGE option '--tls-authz <id>' needs '--tls-creds <id>'; see peregrine --help",
  );
  expect(await refusal(`intake-tls-authz = "z"\ntls-creds = "a"`, "relay", "tcp:h:1", "tcp:h:2")).toBe(
    "USAGE option '--intake-tls-authz <id>' needs '--intake-tls-creds <id>'; see peregrine --help",
  );
});

test("a file that is not there, is none, is no text, or that everybody can write to is refused", async () => {
  const attempt = async (path: string): Promise<string> =>
    MigrationError.from(await parsed(["run", "a.wasm", "--config", path]).catch((error: unknown) => error))
      .message;
  const { path } = directory;
  expect(await attempt(`${path}/none`)).toBe(
    `The configuration file ${path}/none cannot be read: no such file or directory`,
  );
  mkdirSync(`${path}/d`);
  expect(await attempt(`${path}/d`)).toBe(`The configuration file ${path}/d is not a regular file`);
  writeFileSync(`${path}/latin1`, Buffer.from("# \xe4\n", "latin1"));
  expect(await attempt(`${path}/latin1`)).toBe(
    `The configuration file ${path}/latin1 cannot be read: it is not UTF-8`,
  );
  const open = file("keep = true");
  chmodSync(open, 0o646);
  expect(await attempt(open)).toBe(
    `The configuration file ${open} can be changed by every user of this host; run chmod o-w ${open}`,
  );
  chmodSync(open, 0o644);
});
