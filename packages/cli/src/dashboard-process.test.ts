import type { Frame } from "@peregrine/dashboard/messages";
import { PageClient } from "@peregrine/dashboard/testing";
import { bothSides } from "@peregrine/transport/testing/tls";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

type GuestView = Frame["guests"][number];

const here = usePeregrine();
/** What runs there is in no runtime directory of this host. */
const there = usePeregrine();

const ENDLESS = ["--", "--mib", "1", "--rate", "4", "--sweeps", "0"];

interface Access {
  readonly name: string;
  /** Of the agents there, and of the dashboard here. */
  readonly flags: () => Promise<readonly [agent: readonly string[], dashboard: readonly string[]]>;
}

const ACCESSES: readonly Access[] = [
  { name: "with a token", flags: async () => [there.tokenFlag(), there.tokenFlag()] },
  {
    name: "over TLS",
    flags: async () => {
      const { directory } = await bothSides(join(there.directory, "pki"));
      const object = `tls-creds-x509,id=tls0,dir=${directory}`;
      return [
        ["--object", `${object},endpoint=server`, "--monitor-tls-creds", "tls0"],
        ["--object", `${object},endpoint=client`, "--tls-creds", "tls0", "--tls-hostname", "localhost"],
      ];
    },
  },
];

async function monitorOf(agent: TestProcess): Promise<string> {
  const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:\S+)\n/u);
  return address!;
}

/** @returns what resolves when a guest is shown that fits. A frame has only what has changed since the one before. */
function watch(page: PageClient): (fits: (guest: GuestView) => boolean) => Promise<void> {
  const guests = new Map<string, GuestView>();
  return async (fits) => {
    while (![...guests.values()].some(fits))
      for (const one of (await page.next("frame")).guests) guests.set(one.id, one);
  };
}

test.for(ACCESSES)(
  "the dashboard shows agents of another host, $name, and moves a guest there",
  async (access) => {
    const [agentFlags, dashboardFlags] = await access.flags();
    const monitor = ["--qmp", "tcp:127.0.0.1:0", ...agentFlags];
    const source = there.start("run", guest("torture"), "--name", "a", ...monitor, ...ENDLESS);
    const [destination, uri] = await there.receive("tcp:127.0.0.1:0", "b", ...monitor);
    const addresses = await Promise.all([source, destination].map(monitorOf));
    const agents = addresses.flatMap((address) => ["--agent", address]);
    const dashboard = here.start("dashboard", "127.0.0.1:0", ...agents, ...dashboardFlags);
    const [, url, token] = await dashboard.printed("stderr", /The dashboard is at (\S+)#token=(\S+)/u);

    const page = await PageClient.connect(url!);
    try {
      page.send({ kind: "login", token: token! });
      const shown = watch(page);
      const shows = (name: string, status: string): Promise<void> =>
        shown((one) => one.name === name && one.status === status && addresses.includes(one.place));
      await shows("a", "running");
      await shows("b", "inmigrate");
      const action = {
        kind: "migrate",
        uri,
        bandwidth: 0,
        downtime: 300,
        autoConverge: false,
        xbzrle: false,
      };
      page.send({ kind: "act", id: 1, guest: addresses[0]!, action });
      expect(await page.next("done")).toMatchObject({ id: 1, error: null });
      await shows("b", "running");
      // The agent ends when it has told how it went: also those who look.
      await shown(({ name, outgoing }) => name === "a" && outgoing?.state === "completed");
    } finally {
      page.socket.terminate();
    }
  },
);

test("the dashboard says what is wrong with an agent that wants to know more", async () => {
  const agent = there.start(
    "run",
    guest("torture"),
    "--name",
    "a",
    "--qmp",
    "tcp:127.0.0.1:0",
    ...there.tokenFlag(),
    ...ENDLESS,
  );
  const dashboard = here.start("dashboard", "127.0.0.1:0", "--agent", await monitorOf(agent));
  const [, url, token] = await dashboard.printed("stderr", /The dashboard is at (\S+)#token=(\S+)/u);
  const page = await PageClient.connect(url!);
  try {
    page.send({ kind: "login", token: token! });
    await watch(page)(
      ({ fault }) => fault?.includes("needs a token: give --monitor-token-file FILE") === true,
    );
  } finally {
    page.socket.terminate();
  }
});
