import { describe, expect, it } from "vitest";
import { judge, type Seen } from "./verdict.ts";

function alive(status: string, owner: "owner" | "not-owner" | "undecided", migration?: string): Seen {
  return { kind: "alive", status, owner, migration };
}

const ENDED: Seen = { kind: "ended", killed: false };
const KILLED: Seen = { kind: "ended", killed: true };
const AT_SOURCE = alive("running", "owner", "failed");
const GONE = alive("postmigrate", "not-owner", "completed");
const HERE = alive("running", "owner");
const WAITING = alive("inmigrate", "not-owner", "setup");

describe("who has the guest", () => {
  it.each<[string, Seen, Seen, string]>([
    ["the source, when the destination has ended", AT_SOURCE, ENDED, "stayed"],
    [
      "the source, when the destination has failed and stays",
      AT_SOURCE,
      alive("inmigrate", "not-owner", "failed"),
      "stayed",
    ],
    ["the destination", GONE, HERE, "moved"],
    ["the destination, when the source has ended", ENDED, HERE, "moved"],
    ["nobody, with the owner", KILLED, ENDED, "died"],
    ["nobody, with the destination that had it", GONE, KILLED, "died"],
    ["somebody who is paused", alive("paused", "owner", "failed"), ENDED, "standing"],
    ["not decided", alive("postmigrate", "undecided", "failed"), KILLED, "operator"],
    [
      "not decided on both sides",
      alive("postmigrate", "undecided", "failed"),
      alive("paused", "undecided"),
      "operator",
    ],
    ["not known yet at the source", alive("finish-migrate", "undecided", "device"), ENDED, "pending"],
    ["not known yet at the destination", AT_SOURCE, alive("inmigrate", "not-owner", "active"), "pending"],
    ["not known yet: it does not answer", AT_SOURCE, { kind: "silent" }, "pending"],
  ])("%s", (_, source, destination, kind) => {
    expect(judge(source, destination, true).kind).toBe(kind);
  });

  it("is never both", () => {
    expect(judge(AT_SOURCE, HERE, true)).toEqual({ kind: "wrong", what: "both sides run the guest" });
    // Not even when one of them is not at rest.
    expect(judge(alive("running", "owner", "active"), HERE, true).kind).toBe("wrong");
    expect(judge(alive("paused", "owner", "failed"), HERE, true)).toEqual({
      kind: "wrong",
      what: "both sides own the guest",
    });
  });

  it("is never nobody, as long as nobody was killed", () => {
    expect(judge(GONE, ENDED, true).kind).toBe("wrong");
    expect(judge(ENDED, ENDED, true).kind).toBe("wrong");
  });

  it("is the source when the destination could not know of it", () => {
    expect(judge(AT_SOURCE, WAITING, false).kind).toBe("stayed");
    expect(judge(AT_SOURCE, WAITING, true).kind).toBe("pending");
  });
});
