import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { TransportTraits } from "../testing/fixture.ts";
import { listeningFixture, transportCompliance } from "../testing/index.ts";
import { bothSides } from "../testing/tls-sides.ts";
import type { TlsSides } from "../testing/tls-sides.ts";

let folder: string;
let x509: TlsSides;
let psk: TlsSides;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  [x509, psk] = await Promise.all([bothSides(join(folder, "x509")), bothSides(join(folder, "psk"), "psk")]);
});

afterAll(() => rm(folder, { recursive: true }));

const TRAITS: TransportTraits = {
  medium: "connection",
  listens: true,
  gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  tellsCuts: true,
};

transportCompliance("tcp with certificates", TRAITS, () =>
  listeningFixture({
    uri: "tcp:127.0.0.1:0",
    listenOptions: { tls: x509.server },
    connectOptions: { tls: x509.client },
  }),
);

transportCompliance("unix with a shared key", TRAITS, () =>
  listeningFixture({
    uri: `unix:${join(folder, "socket")}`,
    listenOptions: { tls: psk.server },
    connectOptions: { tls: psk.client },
  }),
);

transportCompliance("wss with certificates", TRAITS, () =>
  listeningFixture({
    uri: "wss://127.0.0.1:0/guests",
    listenOptions: { tls: x509.server },
    connectOptions: { tls: x509.client },
  }),
);
