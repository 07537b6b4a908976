// npm itself, with a registry of this test that keeps what it is given.
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packed } from "./pack.ts";
import type { Packed } from "./pack.ts";
import { inOrder, publish } from "./publish.ts";

/** The parts of what npm sends that are looked at. */
interface Upload {
  readonly name: string;
  readonly "dist-tags": Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>;
}

const kept = new Map<string, Upload>();
let server: Server;
let flags: readonly string[];

beforeAll(async () => {
  server = createServer((request, response) => {
    void respond(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  flags = [
    `--registry=http://${host}/`,
    `--//${host}/:_authToken=none`,
    "--provenance=false",
    "--fetch-retries=0",
  ];
});
afterAll(() => server.close());

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [status, body] = await answer(request);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function answer(request: IncomingMessage): Promise<[number, unknown]> {
  const name = decodeURIComponent(request.url!.slice(1).split("?", 1)[0]!);
  if (request.method === "PUT") {
    kept.set(name, (await json(request)) as Upload);
    return [201, { ok: true }];
  }
  const found = kept.get(name);
  return found === undefined ? [404, { error: "not_found" }] : [200, found];
}

/** Some of what was packed, by the names of their folders. */
const some = (...folders: readonly string[]): readonly Packed[] =>
  folders.map((folder) => packed().find(({ source }) => source.folder === folder)!);

test("each comes after what it needs", () => {
  const names = inOrder(some("monitor", "transport", "cli", "shared-state", "protocol")).map(
    ({ source }) => source.folder,
  );
  expect(names).toEqual(["protocol", "shared-state", "transport", "monitor", "cli"]);
});

test("what the registry has is not published again", async () => {
  expect(await publish(some("protocol"), flags)).toEqual([
    { name: "@peregrine/protocol", outcome: "published" },
  ]);
  expect(await publish(some("shared-state", "protocol"), flags)).toEqual([
    { name: "@peregrine/protocol", outcome: "was there already" },
    { name: "@peregrine/shared-state", outcome: "published" },
  ]);
  const [{ source }] = some("protocol") as [Packed];
  const { "dist-tags": tags, versions } = kept.get("@peregrine/shared-state")!;
  expect(tags).toEqual({ latest: source.version });
  expect(versions[source.version]!.dependencies).toEqual({ "@peregrine/protocol": source.version });
});

test("without a workflow npm refuses, because it cannot say where the package comes from", async () => {
  const withProvenance = flags.filter((flag) => !flag.startsWith("--provenance"));
  await expect(publish(some("host-memory"), withProvenance)).rejects.toThrow(/provenance/iu);
  expect(kept.has("@peregrine/host-memory")).toBe(false);
});
