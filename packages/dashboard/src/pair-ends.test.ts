import { describe, expect, test } from "vitest";
import { pairEnds } from "./pair-ends.ts";
import type { End } from "./pair-ends.ts";

const end = (id: string, fields: Partial<End>): End => ({
  id,
  migrations: [],
  target: null,
  incoming: null,
  role: "source",
  listenedOn: null,
  ...fields,
});

const destination = (id: string, listenedOn: string, fields: Partial<End> = {}): End =>
  end(id, { role: "destination", incoming: "active", listenedOn, ...fields });

describe("the ends of a migration", () => {
  test("are found by where the destination listens", () => {
    const peers = pairEnds([
      end("a", { target: "tcp:127.0.0.1:1000" }),
      destination("b", "tcp:127.0.0.1:1000"),
      destination("c", "tcp:127.0.0.1:1001"),
    ]);
    expect([...peers]).toEqual([
      ["a", "b"],
      ["b", "a"],
    ]);
  });

  test("are found by the port where the host has another name", () => {
    const peers = pairEnds([
      end("a", { target: "tcp:other-host:1000" }),
      destination("b", "tcp:127.0.0.1:1000"),
    ]);
    expect(peers.get("a")).toBe("b");
  });

  test("are known by the name of the migration, whatever the addresses say", () => {
    const peers = pairEnds([
      end("a", { target: "tcp:relay:1", migrations: ["m1"] }),
      destination("b", "tcp:127.0.0.1:1"),
      destination("c", "unix:/x", { migrations: ["m1"] }),
    ]);
    expect(peers.get("a")).toBe("c");
    expect(peers.has("b")).toBe(false);
  });

  test("are not guessed where there are two", () => {
    const peers = pairEnds([
      end("a", { target: "tcp:far:1000" }),
      destination("b", "tcp:127.0.0.1:1000"),
      destination("c", "tcp:10.0.0.1:1000"),
    ]);
    expect(peers.size).toBe(0);
  });

  test("a chain of migrations has the pair of the last one that each took part in", () => {
    const peers = pairEnds([
      end("a", { target: "tcp:h:1", migrations: ["m1"] }),
      destination("b", "tcp:h:1", { target: "tcp:h:2", migrations: ["m1", "m2"] }),
      destination("c", "tcp:h:2", { migrations: ["m2"] }),
    ]);
    expect(peers.size).toBe(2);
  });
});
