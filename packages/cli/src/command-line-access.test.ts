import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RunOptions } from "./command-options.ts";
import { execute } from "./command-line.ts";
import { parsed, recorder } from "./testing/recorded-command.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

test.each([
  [["receive", "exec:cat x"]],
  [["receive", "exec:cat x", "--machine", "image"]],
  [["relay", "exec:cat x", "tcp:h:1"]],
  [["relay", "tcp::1", "exec:cat > x"]],
  [["migrate", "web", "exec:cat > x"]],
])("%j runs its command with --allow-exec only", async (args) => {
  const { calls, handlers } = recorder();
  await expect(execute("peregrine", args, handlers)).rejects.toMatchObject({
    code: "EXEC_NOT_ALLOWED",
    message: expect.stringMatching(/^'exec:cat [^']*' runs a command of the shell; give --allow-exec /u),
  });
  expect(calls).toEqual([]);
  expect(await parsed([...args, "--allow-exec"])).toMatchObject({ command: args[0] });
});

test("a guest gets the directories that the source names where that is allowed", async () => {
  const { args } = await parsed(["receive", "tcp::1", "--source-dirs"]);
  expect(args[0]).toMatchObject({ sourceDirectories: true });
});

test("what clients may have opened is told to the agent", async () => {
  const { args } = await parsed(["run", "a.wasm", "--allow-exec", "--allow-host-uris"]);
  expect(args[0]).toMatchObject({ monitors: { opening: { exec: true, hostFromNetwork: true } } });
});

test.each([
  [["run", "a.wasm", "--qmp", "tcp:127.0.0.1:0"]],
  [["run", "a.wasm", "--qmp", "ws://127.0.0.1:0/"]],
  [["receive", "tcp::1", "--monitor", "tcp:[::1]:0"]],
  [["relay", "tcp::1", "tcp:h:1", "--qmp", "unix:/q", "--qmp", "tcp::0"]],
  [["run", "a.wasm", "--dashboard", "127.0.0.1:0"]],
])("%j wants a token", async (args) => {
  const { calls, handlers } = recorder();
  await expect(execute("peregrine", args, handlers)).rejects.toMatchObject({
    code: "TOKEN_NEEDED",
    message: expect.stringContaining("give --monitor-token-file FILE"),
  });
  expect(calls).toEqual([]);
  using directory = new TemporaryDirectory();
  const file = join(directory.path, "token");
  writeFileSync(file, "0123456789abcdef\n", { mode: 0o600 });
  const call = await parsed([...args, "--monitor-token-file", file]);
  const { token } = (call.args[0] as RunOptions).monitors;
  expect(token?.matches("0123456789abcdef")).toBe(true);
});

test("monitors have TLS by credentials of the command line", async () => {
  const flags = ["--qmp", "tcp:h:1", "--monitor-tls-creds", "tls0", "--monitor-tls-authz", "operators"];
  const { args } = await parsed(["run", "a.wasm", ...flags]);
  expect(args[0]).toMatchObject({
    monitors: { token: undefined, tls: { creds: "tls0", authz: "operators" } },
  });
});

test.each([
  [["run", "a.wasm", "--monitor-tls-creds", "tls0"], "needs '--qmp' or '--monitor' at tcp:HOST:PORT"],
  [["run", "a.wasm", "--qmp", "unix:/q", "--monitor-tls-creds", "tls0"], "at tcp:HOST:PORT"],
  [["receive", "tcp::1", "--monitor-tls-authz", "a"], "needs '--monitor-tls-creds <id>'"],
  [["monitor", "web", "--tls-creds", "tls0"], "is for a monitor at tcp:HOST:PORT"],
])("%j is TLS of nothing", async (args, sentence) => {
  const { calls, handlers } = recorder();
  await expect(execute("peregrine", args, handlers)).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining(sentence),
  });
  expect(calls).toEqual([]);
});

test("TLS is of monitors at tcp: alone, so one by WebSocket wants a token all the same", async () => {
  const { handlers } = recorder();
  const flags = ["--qmp", "tcp::1", "--qmp", "ws://127.0.0.1:1/", "--monitor-tls-creds", "tls0"];
  await expect(execute("peregrine", ["run", "a.wasm", ...flags], handlers)).rejects.toMatchObject({
    code: "TOKEN_NEEDED",
  });
});

test("a dashboard is of this machine, and makes its own token unless it is given one", async () => {
  const { args } = await parsed(["dashboard"]);
  expect(args[0]).toEqual({
    address: { host: "127.0.0.1", port: 8620 },
    token: undefined,
    agents: [],
    agentToken: undefined,
    objects: [],
    tls: { creds: undefined, hostname: undefined },
    policy: { exec: false, hostFromNetwork: false },
  });
  using directory = new TemporaryDirectory();
  const files = ["0123456789abcdef", "fedcba9876543210"].map((text) => join(directory.path, text));
  for (const file of files) writeFileSync(file, file.slice(-16), { mode: 0o600 });
  const flags = ["--token-file", files[0]!, "--monitor-token-file", files[1]!, "--allow-host-uris"];
  const agents = ["--agent", "tcp:h:1", "--agent", "unix:/q", "--tls-creds", "tls0"];
  const call = await parsed(["dashboard", "[::1]:0", ...flags, ...agents]);
  expect(call.args[0]).toMatchObject({
    address: { host: "::1", port: 0 },
    token: "0123456789abcdef",
    agents: ["tcp:h:1", "unix:/q"],
    agentToken: "fedcba9876543210",
    tls: { creds: "tls0" },
    policy: { exec: false, hostFromNetwork: true },
  });
});

test.each([
  [["dashboard", "0.0.0.0:8620"], "A dashboard has no encryption"],
  [["run", "a.wasm", "--dashboard", "10.0.0.1:1"], "A dashboard has no encryption"],
  [["dashboard", "8620"], "A dashboard's address is HOST:PORT"],
  [["dashboard", "--agent", "ws://127.0.0.1:1/"], "It has to be tcp:HOST:PORT or unix:PATH"],
])("%j is no place for a dashboard", async (args, sentence) => {
  const { calls, handlers } = recorder();
  await expect(execute("peregrine", args, handlers)).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining(sentence),
  });
  expect(calls).toEqual([]);
});
