import { connect } from "@peregrine/transport";
import { bothSides } from "@peregrine/transport/testing/tls";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, TOKEN, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();
/** Runs for ever. */
const ENDLESS = [guest("torture"), "--name", "t", "--", "--mib", "1", "--rate", "4", "--sweeps", "0"];

test.each([false, true])(
  "peregrine monitor carries out the lines of its input, at an address: %s",
  async (there) => {
    const flags = ["--paused", "--qmp", "tcp:127.0.0.1:0", ...peregrine.tokenFlag()];
    const agent = peregrine.start("run", ...flags, ...ENDLESS);
    const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:\S+)\n/u);
    const [target, ...token] = there ? [address!, ...peregrine.tokenFlag()] : ["t"];
    const monitor = peregrine.start("monitor", target, ...token);
    monitor.write("info status\nmigrate_set_speed 1g\ninfo migrate_parameters\nnope\ncont\n");
    monitor.endInput();
    const { status, stdout, stderr } = await monitor.finished();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^VM status: paused \(prelaunch\)\nannounce-initial: 50 ms\n/u);
    expect(stdout).toContain("\nmax-bandwidth: 1073741824 bytes/second\n");
    expect(stdout).toMatch(/\nunknown command: 'nope'\n$/u);
    await agent.printed("stdout", /sweep 1\n/u);
  },
);

test("peregrine monitor says which flag gives the token", async () => {
  const agent = peregrine.start("run", "--qmp", "tcp:127.0.0.1:0", ...peregrine.tokenFlag(), ...ENDLESS);
  const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:\S+)\n/u);
  expect(await peregrine.run("monitor", address!)).toEqual({
    status: 1,
    stdout: "",
    stderr:
      `peregrine: ACCESS_DENIED: The monitor at '${address!}' needs a token: give --monitor-token-file FILE ` +
      "or set PEREGRINE_MONITOR_TOKEN\n",
  });
});

test("peregrine monitor reaches one that takes only certificates", async () => {
  const { directory } = await bothSides(join(peregrine.directory, "pki"));
  const object = `tls-creds-x509,id=tls0,dir=${directory}`;
  const tls = ["--object", `${object},endpoint=server`, "--monitor-tls-creds", "tls0"];
  const agent = peregrine.start("run", "--paused", "--qmp", "tcp:localhost:0", ...tls, ...ENDLESS);
  const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:\S+)\n/u);
  const client = [
    "--object",
    `${object},endpoint=client`,
    "--tls-creds",
    "tls0",
    "--tls-hostname",
    "localhost",
  ];
  const monitor = peregrine.start("monitor", address!, ...client);
  monitor.write("info name\n");
  monitor.endInput();
  expect(await monitor.finished()).toEqual({ status: 0, stdout: "t\n", stderr: "" });
});

test("peregrine monitor ends with the agent", async () => {
  const agent = peregrine.start("run", ...ENDLESS);
  await agent.printed("stdout", /sweep 1\n/u);
  const monitor = peregrine.start("monitor", "t");
  monitor.write("q\n");
  expect(await monitor.finished()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(await agent.finished()).toMatchObject({ status: 0 });
});

test("people and pages are served where they are told to be", async () => {
  const addresses = ["--monitor", "tcp:127.0.0.1:0", "--qmp", "ws://127.0.0.1:0/"];
  const agent = peregrine.start("run", ...addresses, ...peregrine.tokenFlag(), ...ENDLESS);
  const [, web] = await agent.printed("stderr", /The monitor listens on (ws:\/\/127\.0\.0\.1:\d+\/)\n/u);
  const [, people] = await agent.printed("stderr", /The monitor for people listens on (tcp:\S+)\n/u);
  const handshake = await fetch(web!.replace("ws:", "http:"));
  expect(handshake.status).toBe(426);
  const channel = await connect(people!);
  await channel.write(Buffer.from(`${TOKEN}\ninfo name\n`));
  await channel.end();
  let text = "";
  for await (const chunk of channel.read()) text += Buffer.from(chunk).toString();
  expect(text).toMatch(/^Token: peregrine \S+ monitor - type 'help' for more information\r\n/u);
  expect(text).toContain("(peregrine) t\r\n(peregrine) ");
});
