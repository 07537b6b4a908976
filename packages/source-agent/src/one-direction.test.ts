import { NamedDescriptors } from "@peregrine/transport";
import { existsSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OutgoingMigration } from "./index.ts";
import { CarriedReader } from "./testing/carried-reader.ts";
import { Source } from "./testing/source.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  path = join(folder, "stream");
});

afterEach(() => rm(folder, { recursive: true }));

/** What was sent is the whole guest, and asks for no answer. */
async function expectWhole(source: Source): Promise<void> {
  const reader = new CarriedReader(true);
  reader.push(await readFile(path));
  const { memory } = reader.end();
  expect(reader.commands).toEqual([]);
  for (const [block, bytes] of source.memory().entries()) {
    expect(Buffer.compare(bytes, memory[block]!.subarray(0, bytes.length))).toBe(0);
  }
}

describe("a migration into a command", () => {
  test("asks for no answer, and is undecided when the command has ended", async () => {
    await using source = await Source.make();
    source.migration.migrate(`exec:cat > ${path}`);
    expect([await source.ended(), source.migration.error]).toEqual(["completed", undefined]);
    expect(source.migration).toMatchObject({ confirmed: false, ownership: "undecided" });
    await expectWhole(source);
  });

  test.each([
    ["exit 3", "The command 'exit 3' ended with exit status 3"],
    ["cat > /dev/null; exit 3", "The command 'cat > /dev/null; exit 3' ended with exit status 3"],
    ["cat > /dev/null; kill -9 $$", "The command 'cat > /dev/null; kill -9 $$' was ended by SIGKILL"],
  ])("that fails ('%s') leaves the guest running", async (command, message) => {
    await using source = await Source.make();
    source.migration.migrate(`exec:${command}`);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error).toMatchObject({ code: "CHANNEL_FAILED", message });
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("can be cancelled while the command has everything and does not end", async () => {
    await using source = await Source.make();
    source.migration.migrate(`exec:cat > /dev/null; echo > ${path}; sleep 1000`);
    await source.reaches("active");
    while (!existsSync(path)) await delay(5);
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    await source.expectUntouched();
  });
});

describe("a migration over a named descriptor", () => {
  /** The same guest with a migration that knows names. */
  function named(source: Source, descriptors: NamedDescriptors): OutgoingMigration {
    return new OutgoingMigration({ machine: source.machine, run: source.run, descriptors });
  }

  function ended(migration: OutgoingMigration): Promise<void> {
    return new Promise((resolve) => {
      migration.subscribe((event) => {
        if (event.kind === "migration" && ["completed", "failed"].includes(event.status)) resolve();
      });
    });
  }

  test("uses the name up, also when it fails", async () => {
    await using source = await Source.make();
    const descriptors = new NamedDescriptors();
    const migration = named(source, descriptors);
    await writeFile(path, "");
    descriptors.add("mig", openSync(path, "r"));
    for (const message of [
      / is not open for writing$/iu,
      /^File descriptor named 'mig' has not been found$/u,
    ]) {
      expect(() => migration.migrate("fd:mig")).toThrow(message);
      expect(migration.status).toBe("failed");
    }
    descriptors.add("mig", openSync(path, "w"));
    const over = ended(migration);
    migration.migrate("fd:mig");
    await over;
    expect([migration.status, migration.error]).toEqual(["completed", undefined]);
    await expectWhole(source);
    expect(() => descriptors.remove("mig")).toThrow("File descriptor named 'mig' not found");
  });

  test("leaves the name where the migration is refused before", async () => {
    await using source = await Source.make();
    const descriptors = new NamedDescriptors();
    const migration = named(source, descriptors);
    descriptors.add("mig", openSync(path, "w"));
    migration.setCapabilities({ multifd: true });
    for (const uri of ["fd:mig", "exec:cat"]) {
      expect(() => migration.migrate(uri)).toThrow(/^Migration requires multi-channel URIs \(e\.g\. tcp\)/u);
    }
    descriptors.remove("mig");
  });
});
