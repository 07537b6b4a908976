import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { formatUri } from "./address.ts";
import { gatheringOf, gatherListOf } from "./testing/gathering-channels.ts";
import { connect, listen } from "./uri.ts";

const directory = mkdtempSync(join(tmpdir(), "transport-"));
afterAll(() => rmSync(directory, { recursive: true }));

describe.each([
  ["tcp:127.0.0.1:0", {}],
  [`unix:${join(directory, "a")}`, {}],
  [`unix:${join(directory, "b")}`, { readBuffer: () => new Uint8Array(10_000) }],
])("a connection of %s with %o that cannot be written to any more", (uri, options) => {
  test.for([
    ["reads", false],
    ["stands", true],
  ] as const)("gives what has come before, while its reader %s", async ([, stands]) => {
    const listener = await listen(uri, options);
    const [far, near] = await Promise.all([connect(formatUri(listener.address)), listener.accept()]);
    await far.write(Buffer.from("first,"));
    const read = near.read();
    expect(Buffer.from((await read.next()).value ?? []).toString()).toBe("first,");
    const waiting = stands ? undefined : read.next();

    // All in one turn: this side reads nothing of it before its own writes have failed.
    const said = far.write(Buffer.from("last words"));
    far.destroy();
    const writes = Array.from({ length: 10 }, () => near.write(Buffer.from("?")));
    await said;
    expect((await Promise.allSettled(writes)).at(-1)?.status).toBe("rejected");

    const { value } = await (waiting ?? read.next());
    expect(Buffer.from(value ?? []).toString()).toBe("last words");
    await expect(read.next()).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await listener.close();
  });

  test("gives what has come before, when it gathers what it writes", async () => {
    const listener = await listen(uri, options);
    const [far, near] = await Promise.all([connect(formatUri(listener.address)), listener.accept()]);
    const gathering = await gatheringOf(near);
    await far.write(Buffer.from("first,"));
    const read = near.read();
    expect(Buffer.from((await read.next()).value ?? []).toString()).toBe("first,");

    const said = far.write(Buffer.from("last words"));
    far.destroy();
    // What a kernel takes at once is over at once, so that the next can follow in the same turn.
    const pieces = [Buffer.from("?"), Buffer.from("!")];
    const writes = Array.from({ length: 10 }, () => gathering.write(gatherListOf(gathering, pieces)));
    await said;
    expect((await Promise.allSettled(writes)).at(-1)).toMatchObject({ reason: { code: "CHANNEL_FAILED" } });

    expect(Buffer.from((await read.next()).value ?? []).toString()).toBe("last words");
    await expect(read.next()).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await listener.close();
  });
});
