import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

test("a program that needs more memory than is accepted stays where it is, and both sides say why", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--max-ram", "1M");
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", "--mib", "2", "--sweeps", "0");
  await source.printed("stdout", /sweep 1\n/u);
  const migrate = await peregrine.run("migrate", "a", address);
  expect(migrate.status).toBe(1);
  const { status, stderr } = await destination.finished();
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /\nperegrine: LIMIT_EXCEEDED: The guest needs [\d.]+ [KM]iB of memory and no more than 1 MiB are accepted here: allow more with --max-ram/u,
  );
  const info = JSON.parse((await peregrine.run("info", "a", "--json")).stdout) as { status: string };
  expect(info.status).toBe("running");
});
