import { describe, expect, it } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, type PeregrineProcess, startMigration } from "./agent-process.ts";

const MIB = 1 << 20;

/** A guest of 64 MiB, none of it zero, so that a copy at 16 MiB/s lasts for seconds. */
async function startTorture(host: Host): Promise<PeregrineProcess> {
  const guest = await host.run(
    pathOf("torture.wasm"),
    [],
    ["--mib", "64", "--rate", "64", "--sweeps", "100000"],
  );
  await guest.until("stdout", /\nsweep 1\n/);
  return guest;
}

async function untilSent(guest: PeregrineProcess, bytes: number): Promise<void> {
  for (;;) {
    const { ram } = await guest.execute<{ ram?: { transferred: number } }>("query-migrate");
    if ((ram?.transferred ?? 0) >= bytes) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("when a process dies in the middle of a copy", () => {
  it("the destination: the guest runs on at the source, with the reason, and can be moved at once", async () => {
    await using host = await Host.create();
    const guest = await startTorture(host);
    const next = await host.receive("tcp");
    await startMigration(guest, next.uri, { bandwidth: 16 * MIB });
    await untilSent(guest, 8 * MIB);
    next.agent.child.kill("SIGKILL");
    const result = await migrationEnd(guest);
    expect(result).toMatchObject({ status: "failed" });
    expect(result["error-desc"]).toMatch(
      /127\.0\.0\.1:\d+.*(Connection reset by peer|Broken pipe|closed|ended)/,
    );
    expect(await guest.execute("query-status")).toMatchObject({ status: "running" });
    const length = guest.stdout.bytes.length;
    while (guest.stdout.bytes.length === length) await guest.stdout.change();
    const again = await host.receive("unix");
    expect(await migrate(guest, again.uri, { downtime: 5000 })).toMatchObject({ status: "completed" });
    await again.agent.until("stdout", /\n/);
  });

  it("the source: the destination starts nothing, says where the stream broke off, and exits with status 1", async () => {
    await using host = await Host.create();
    const guest = await startTorture(host);
    const next = await host.receive("unix");
    await startMigration(guest, next.uri, { bandwidth: 16 * MIB });
    await untilSent(guest, 8 * MIB);
    guest.child.kill("SIGKILL");
    expect((await next.agent.ended).status).toBe(1);
    expect(next.agent.stderr.text).toMatch(/byte \d+\b.*\n.*load of migration failed: ./);
    expect(next.agent.stdout.text).toBe("");
  });
});
