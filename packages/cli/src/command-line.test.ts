import { expect, test } from "vitest";
import { execute } from "./command-line.ts";
import { parsed, recorder } from "./testing/recorded-command.ts";
import { NO_SEND_TLS } from "./tls-options.ts";

const UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000";
const NIC = "mac=52:54:00:12:34:56,netdev=dgram:h:1";
const UUID_BYTES = new Uint8Array(Buffer.from("550e8400e29b41d4a716446655440000", "hex"));

const NOTHING_OPEN = { exec: false, hostFromNetwork: false };
const NO_TLS = { creds: undefined, authz: undefined };
const NO_MONITORS = {
  qmp: [],
  human: [],
  origins: [],
  token: undefined,
  tls: NO_TLS,
  opening: NOTHING_OPEN,
};

/** What is neither served nor logged unless it is asked for. */
const NO_FIGURES = {
  metrics: { addresses: [], token: undefined },
  log: { format: "text", level: undefined },
};

const RUN_DEFAULTS = {
  name: undefined,
  directories: [],
  drives: [],
  nics: [],
  hooks: { arrival: undefined, departure: undefined, limit: 30_000 },
  monitors: NO_MONITORS,
  ...NO_FIGURES,
  objects: [],
  keep: false,
  state: undefined,
  silence: 5000,
  paused: false,
  environment: [],
  stackMib: 64,
  migratable: true,
  args: [],
};

test("run has defaults for everything but the program", async () => {
  expect(await parsed(["run", "a.wasm"])).toEqual({
    command: "run",
    args: [{ ...RUN_DEFAULTS, program: "a.wasm" }],
  });
});

test("run takes all its options, and leaves those behind -- to the program", async () => {
  const options = ["--name", "web", "--dir", "/tmp::/data", "--dir", "/::/", "--env", "A=b=c", "--env", "E="];
  const more = [
    "--qmp",
    "unix:/p",
    "--qmp",
    "unix:/q",
    "--qmp-origin",
    "https://example.org",
    "--monitor",
    "unix:/m",
    "--stack",
    "8",
    "--no-migrate",
    "--keep",
    "--state",
    "/state",
    "--keepalive",
    "0",
    "-S",
  ];
  expect(await parsed(["run", "a.wasm", ...options, ...more, "--", "-S", "--name", "x", "--help"])).toEqual({
    command: "run",
    args: [
      {
        program: "a.wasm",
        args: ["-S", "--name", "x", "--help"],
        name: "web",
        directories: [
          { hostPath: "/tmp", guestPath: "/data" },
          { hostPath: "/", guestPath: "/" },
        ],
        drives: [],
        nics: [],
        hooks: { arrival: undefined, departure: undefined, limit: 30_000 },
        environment: ["A=b=c", "E="],
        ...NO_FIGURES,
        monitors: {
          qmp: ["unix:/p", "unix:/q"],
          human: ["unix:/m"],
          origins: ["https://example.org"],
          token: undefined,
          tls: NO_TLS,
          opening: NOTHING_OPEN,
        },
        objects: [],
        stackMib: 8,
        migratable: false,
        keep: true,
        state: "/state",
        silence: 0,
        paused: true,
      },
    ],
  });
});

test("a directory of the host is made absolute", async () => {
  const { args } = await parsed(["run", "a.wasm", "--dir", "x::/data"]);
  expect(args[0]).toMatchObject({ directories: [{ hostPath: `${process.cwd()}/x`, guestPath: "/data" }] });
});

test.each(["run", "receive"])("%s takes drives, whose paths are made absolute", async (command) => {
  const drives = ["id=a,file=x", "file=/b,,c,backing=base,lock=off,id=b.1-2_"];
  const { args } = await parsed([command, "tcp:h:1", "--drive", drives[0]!, "--drive", drives[1]!]);
  expect(args[0]).toMatchObject({
    drives: [
      { id: "a", file: `${process.cwd()}/x`, backing: undefined, lock: true },
      { id: "b.1-2_", file: "/b,c", backing: `${process.cwd()}/base`, lock: false },
    ],
  });
});

test.each(["run", "receive"])("%s takes network interfaces", async (command) => {
  const mac = "52:54:00:12:34:56";
  const nics = [`mac=${mac},netdev=stream:unix:/a,,b`, `id=lan,netdev=dgram:[::1]:1,mac=${mac}`];
  const { args } = await parsed([command, "tcp:h:1", "--nic", nics[0]!, "--nic", nics[1]!]);
  expect(args[0]).toMatchObject({
    nics: [
      { id: undefined, mac, netdev: "stream:unix:/a,b" },
      { id: "lan", mac, netdev: "dgram:[::1]:1" },
    ],
  });
});

test("the daemons take the same options without a command", async () => {
  expect(await parsed(["a.wasm", "--keep", "--", "1"], "source-agent")).toMatchObject({
    command: "run",
    args: [{ program: "a.wasm", keep: true, args: ["1"] }],
  });
  expect(await parsed(["tcp:0.0.0.0:4444", "-S", "--name", "b"], "dest-agent")).toMatchObject({
    command: "receive",
    args: [{ uri: "tcp:0.0.0.0:4444", paused: true, name: "b" }],
  });
});

const INTAKE_DEFAULTS = {
  name: undefined,
  monitors: NO_MONITORS,
  ...NO_FIGURES,
  objects: [],
  keep: false,
  silence: 5000,
  channels: 0,
  maxRam: undefined,
  arrivalTls: { creds: undefined, authz: undefined },
};
const RECEIVE_DEFAULTS = { ...INTAKE_DEFAULTS, state: undefined, exitOnError: true };

test("receive waits for a program unless it is told to hold a virtual machine", async () => {
  expect((await parsed(["receive", "tcp:h:1"])).args).toEqual([
    {
      ...RECEIVE_DEFAULTS,
      machine: "wasm",
      sourceDirectories: false,
      uri: "tcp:h:1",
      directories: [],
      drives: [],
      nics: [],
      hooks: { arrival: undefined, departure: undefined, limit: 30_000 },
      paused: false,
    },
  ]);
  expect((await parsed(["receive", "tcp:h:1", "--machine", "image"])).args).toEqual([
    { ...RECEIVE_DEFAULTS, machine: "image", uri: "tcp:h:1", store: undefined, uuid: undefined },
  ]);
  const options = ["--store", "/s", "--parallel", "4", "--max-ram", "1.5G", "--uuid", UUID_TEXT];
  expect((await parsed(["receive", "tcp:h:1", "--machine", "image", ...options])).args).toEqual([
    {
      ...RECEIVE_DEFAULTS,
      machine: "image",
      uri: "tcp:h:1",
      store: "/s",
      channels: 4,
      maxRam: 1.5 * 2 ** 30,
      uuid: UUID_BYTES,
    },
  ]);
});

test.each(["wasm", "image"])(
  "receive of a %s can wait for its address, and survive a failure",
  async (kind) => {
    const { args } = await parsed(["receive", "defer", "--machine", kind, "--no-exit-on-error"]);
    expect(args[0]).toMatchObject({ machine: kind, uri: "defer", exitOnError: false });
  },
);

const SEND_DEFAULTS = {
  bandwidth: 0,
  downtime: undefined,
  xbzrle: false,
  xbzrleCache: undefined,
  autoConverge: false,
  channels: 0,
  compression: "none",
  returnPath: true,
  mappedRam: false,
  tls: { creds: undefined, hostname: undefined },
};

test("migrate is unlimited and leaves the downtime alone unless told otherwise", async () => {
  const guest = { name: "web", uri: "tcp:h:1", objects: [] };
  expect((await parsed(["migrate", "web", "tcp:h:1"])).args).toEqual([
    { ...guest, send: SEND_DEFAULTS, request: { paused: false }, timeLimit: undefined, json: false },
  ]);
  const options = ["--bandwidth", "64M", "--downtime", "300", "--json"];
  expect((await parsed(["migrate", "web", "tcp:h:1", ...options])).args).toEqual([
    {
      ...guest,
      send: { ...SEND_DEFAULTS, bandwidth: 64 * 2 ** 20, downtime: 300 },
      request: { paused: false },
      timeLimit: undefined,
      json: true,
    },
  ]);
});

test.each([
  [["--xbzrle"], { xbzrle: true }],
  [["--xbzrle=100M"], { xbzrle: true, xbzrleCache: 64 << 20 }],
  [["--auto-converge"], { autoConverge: true }],
  [["--parallel", "3"], { channels: 3 }],
  [["--parallel", "3,zstd"], { channels: 3, compression: "zstd" }],
  [["--no-return-path"], { returnPath: false }],
  [["--mapped-ram"], { mappedRam: true }],
  [["--tls-creds", "a"], { tls: { creds: "a", hostname: undefined } }],
  [["--tls-creds", "a", "--tls-hostname", "b"], { tls: { creds: "a", hostname: "b" } }],
  [["--no-tls"], { tls: { creds: "", hostname: undefined } }],
])("migrate %j", async (options, send) => {
  const { args } = await parsed(["migrate", "web", "tcp:h:1", ...options]);
  expect(args[0]).toMatchObject({ send: { ...SEND_DEFAULTS, ...send } });
});

test.each([
  [["--paused"], { request: { paused: true } }],
  [["--copy-storage", "all"], { request: { storage: "all" } }],
  [["--copy-storage", "inc"], { request: { storage: "inc" } }],
  [["--timeout", "20", "--on-timeout", "force"], { timeLimit: { seconds: 20, action: "force" } }],
])("migrate %j, besides how it is sent", async (options, expected) => {
  expect((await parsed(["migrate", "web", "tcp:h:1", ...options])).args[0]).toMatchObject(expected);
});

test("the word behind --xbzrle is an argument", async () => {
  const { args } = await parsed(["migrate", "--xbzrle", "web", "tcp:h:1"]);
  expect(args[0]).toMatchObject({ name: "web", uri: "tcp:h:1", send: { xbzrle: true } });
  const run = await parsed(["run", "a.wasm", "--", "--xbzrle"]);
  expect(run.args[0]).toMatchObject({ args: ["--xbzrle"] });
});

test("checkpoint writes a new file, restore receives from it", async () => {
  expect(await parsed(["checkpoint", "web", "x"])).toEqual({
    command: "checkpoint",
    args: [{ name: "web", file: "x", storage: undefined, leaveRunning: false, json: false }],
  });
  const flags = ["--leave-running", "--copy-storage", "inc", "--json"];
  expect(await parsed(["checkpoint", "web", "x", ...flags])).toEqual({
    command: "checkpoint",
    args: [{ name: "web", file: "x", storage: "inc", leaveRunning: true, json: true }],
  });
  expect(await parsed(["restore", "x", "--name", "web", "-S"])).toMatchObject({
    command: "receive",
    args: [
      {
        machine: "wasm",
        sourceDirectories: true,
        uri: `file:${process.cwd()}/x`,
        name: "web",
        paused: true,
      },
    ],
  });
});

test("relay takes what receive and migrate take, with a flag of its own for each direction's connections", async () => {
  const options = ["--parallel", "2", "--intake-parallel", "5", "--uuid", UUID_TEXT, "--bandwidth", "1M"];
  expect((await parsed(["relay", "tcp:h:1", "unix:/b", ...options])).args).toEqual([
    {
      ...INTAKE_DEFAULTS,
      from: "tcp:h:1",
      to: "unix:/b",
      uuid: UUID_BYTES,
      channels: 5,
      json: false,
      send: { ...SEND_DEFAULTS, channels: 2, bandwidth: 2 ** 20 },
    },
  ]);
});

test.each([
  [["info", "web", "--json"], "info", ["web", { completed: false, json: true }]],
  [["info", "web", "--completed"], "info", ["web", { completed: true, json: false }]],
  [["list"], "list", [{ json: false }]],
  [["cancel", "web"], "cancel", ["web"]],
  [
    ["monitor", "web"],
    "monitor",
    [{ target: { kind: "guest", name: "web" }, token: undefined, tls: NO_SEND_TLS, objects: [] }],
  ],
  [
    ["monitor", "unix:/m"],
    "monitor",
    [{ target: { kind: "address", uri: "unix:/m" }, token: undefined, tls: NO_SEND_TLS, objects: [] }],
  ],
  [["stop", "web"], "stop", ["web"]],
  [["cont", "web"], "cont", ["web"]],
  [["quit", "web"], "quit", ["web"]],
])("%j", async (args, command, expected) => {
  expect(await parsed(args)).toEqual({ command, args: expected });
});

test.each([
  [[], "A command is missing"],
  [["frob"], "'frob'"],
  [["run"], "'program.wasm'"],
  [["run", "a.wasm", "--frob"], "'--frob'"],
  [["run", "a.wasm", "--name", "a/b"], "'--name <name>'"],
  [["run", "a.wasm", "--dir", "/tmp"], "'--dir <HOST::GUEST>'"],
  [["run", "a.wasm", "--dir", "::/x"], "'--dir <HOST::GUEST>'"],
  [["run", "a.wasm", "--dir", "/x::"], "'--dir <HOST::GUEST>'"],
  [["run", "a.wasm", "--env", "A"], "'--env <K=V>'"],
  [["run", "a.wasm", "--env", "=A"], "'--env <K=V>'"],
  [["run", "a.wasm", "--stack", "0"], "'--stack <MiB>'"],
  [["run", "a.wasm", "--stack", "1.5"], "'--stack <MiB>'"],
  [["run", "a.wasm", "--qmp", "4444"], "'--qmp <address>'"],
  [["run", "a.wasm", "--qmp", "ws://0.0.0.0:4444"], "listens on this machine only"],
  [["run", "a.wasm", "--monitor-token", "x"], "'--monitor-token'"],
  [["run", "a.wasm", "--qmp-origin", "example.org"], "'--qmp-origin <origin>'"],
  [["run", "a.wasm", "--monitor", "ws://127.0.0.1:1"], "'--monitor <address>'"],
  [["receive"], "'uri'"],
  [["receive", "tcp::1", "extra"], "too many arguments"],
  [["receive", "tcp::1", "--machine", "qemu"], "'--machine <kind>'"],
  [["receive", "tcp::1", "--store", "/s"], "'--store <directory>'"],
  [["receive", "tcp::1", "--uuid", UUID_TEXT], "'--uuid <uuid>'"],
  [["receive", "tcp::1", "--machine", "image", "-S"], "'-S, --paused'"],
  [["receive", "tcp::1", "--machine", "image", "--nic", NIC], "'--nic <mac=MAC,netdev=NETDEV>'"],
  [["run", "a.wasm", "--nic", "mac=52:54:00:12:34:56"], "'--nic <mac=MAC,netdev=NETDEV>'"],
  [["run", "a.wasm", "--nic", `${NIC},model=e1000`], "'--nic <mac=MAC,netdev=NETDEV>'"],
  [["run", "a.wasm", "--nic", "mac=1,netdev=dgram:h:1"], "'1' is no MAC address"],
  [["run", "a.wasm", "--nic", "mac=52:54:00:12:34:56,netdev=tap:0"], "'tap:0' is no netdev"],
  [["receive", "tcp::1", "--machine", "image", "--dir", "/a::/b"], "'--dir <HOST::GUEST>'"],
  [["receive", "tcp::1", "--machine", "image", "--source-dirs"], "'--source-dirs'"],
  [["receive", "tcp::1", "--machine", "image", "--uuid", "1234"], "'--uuid <uuid>'"],
  [["receive", "tcp::1", "--max-ram", "0"], "'--max-ram <bytes>'"],
  [["receive", "tcp::1", "--parallel", "256"], "'--parallel <channels>'"],
  [["run", "a.wasm", "--drive", "file=x"], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=a"], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=a,file="], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=a,file=x,id=b"], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=a,file=x,cache=on"], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=a,file=x,lock=no"], "It has to be id=ID,file=PATH"],
  [["run", "a.wasm", "--drive", "id=../a,file=x"], "The id has 1 to 63 letters"],
  [["receive", "tcp:h:1", "--machine", "image", "--drive", "id=a,file=x"], "'--drive <id=ID,file=PATH>'"],
  [["relay", "tcp::1"], "'out'"],
  [["relay", "tcp::1", "tcp::2", "--state", "/s"], "unknown option '--state'"],
  [["relay", "tcp::1", "tcp::2", "--xbzrle", "--parallel", "2"], "'--xbzrle'"],
  [["migrate", "web", "tcp:h:1", "--parallel", "2,gzip"], "'--parallel <channels>'"],
  [["migrate", "web", "tcp:h:1", "--parallel", "0,zstd"], "'--parallel <channels>'"],
  [["migrate", "web", "tcp:h:1", "--parallel", "256"], "'--parallel <channels>'"],
  [["migrate", "web", "tcp:h:1", "--xbzrle=1k"], "'--xbzrle [=CACHE]'"],
  [["migrate", "web", "tcp:h:1", "--timeout", "5"], "'--on-timeout <action>'"],
  [["migrate", "web", "tcp:h:1", "--on-timeout", "force"], "'--timeout <seconds>'"],
  [["migrate", "web", "tcp:h:1", "--timeout", "0", "--on-timeout", "force"], "'--timeout <seconds>'"],
  [["migrate", "web", "tcp:h:1", "--timeout", "5", "--on-timeout", "wait"], "'--on-timeout <action>'"],
  [["migrate", "web", "tcp:h:1", "--copy-storage", "some"], "'--copy-storage <what>'"],
  [["checkpoint", "web"], "'file'"],
  [["restore"], "'file'"],
  [["migrate", "web"], "'uri'"],
  [["migrate", "../x", "tcp:h:1"], "name"],
  [["monitor", "../x"], "name"],
  [["monitor", "ws://127.0.0.1:1/"], "tcp:HOST:PORT or unix:PATH"],
  [["monitor", "file:/x"], "No monitor can be served"],
  [["migrate", "web", "tcp:h:1", "--bandwidth", "64Q"], "'--bandwidth <bytes>'"],
  [["migrate", "web", "tcp:h:1", "--bandwidth", "-1"], "'--bandwidth <bytes>'"],
  [["migrate", "web", "tcp:h:1", "--downtime", "2000001"], "'--downtime <ms>'"],
  [["migrate", "web", "tcp:h:1", "--downtime", "1s"], "'--downtime <ms>'"],
])("%j is refused in one sentence that names %s", async (args, named) => {
  const { calls, handlers } = recorder();
  const error = await execute("peregrine", args, handlers).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "USAGE", message: expect.stringContaining(named) });
  expect((error as Error).message).not.toContain("\n");
  expect(calls).toEqual([]);
});

test.each([
  ["peregrine", ["--help"]],
  ["peregrine", ["help", "migrate"]],
  ["peregrine", ["run", "--help"]],
  ["source-agent", ["--help"]],
  ["dest-agent", ["--help"]],
] as const)("%s %j prints help and does nothing", async (program, args) => {
  const { calls, handlers } = recorder();
  let printed = "";
  const status = await execute(program, args, handlers, { writeOut: (text) => void (printed += text) });
  expect(status).toBe(0);
  expect(printed).toContain(`Usage: ${program}`);
  expect(calls).toEqual([]);
});

test("agents serve figures and log what they are told to", async () => {
  const metrics = ["--metrics", "127.0.0.1:9464", "--metrics", "unix:/m"];
  const { args } = await parsed([
    "run",
    "a.wasm",
    ...metrics,
    "--log-format",
    "json",
    "--log-level",
    "debug",
  ]);
  expect(args[0]).toMatchObject({
    metrics: {
      addresses: [
        { kind: "tcp", host: "127.0.0.1", port: 9464 },
        { kind: "unix", path: "/m" },
      ],
    },
    log: { format: "json", level: "debug" },
  });
  await expect(parsed(["run", "a.wasm", "--metrics", "0.0.0.0:1"])).rejects.toMatchObject({
    code: "TOKEN_NEEDED",
  });
});
