import { describe, expect, it } from "vitest";
import { checkDrive, checkLog, checkOutput, checkRunTimes } from "./checks.ts";

/** What a guest prints that counts from one number to another. */
function counted(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, n) => `${from + n}\n`).join("");
}

describe("the check of the output", () => {
  it("takes what went on at another agent, also in the middle of a line", () => {
    const pieces = [
      { agent: "a", text: `${counted(1, 99)}10` },
      { agent: "b", text: `0\n${counted(101, 150)}` },
      { agent: "c", text: `${counted(151, 160)}16` },
    ];
    expect(checkOutput(pieces)).toEqual({ last: 160, wrong: [] });
  });

  it("sees a double run: the same numbers from two agents", () => {
    const { wrong } = checkOutput([
      { agent: "a", text: counted(1, 60) },
      { agent: "b", text: counted(51, 80) },
    ]);
    expect(wrong).toEqual(['b printed "51" where 61 was to come']);
  });

  it("sees a line that is missing, in one agent's output and between two", () => {
    expect(checkOutput([{ agent: "a", text: "1\n2\n4\n5\n" }]).wrong).toEqual([
      'a printed "4" where 3 was to come',
    ]);
    const { wrong } = checkOutput([
      { agent: "a", text: "1\n2\n" },
      { agent: "b", text: "4\n" },
    ]);
    expect(wrong).toEqual(['b printed "4" where 3 was to come']);
  });

  it("sees half a line that is missing, and one that is no number", () => {
    const { wrong } = checkOutput([
      { agent: "a", text: "1\n2" },
      { agent: "b", text: "3\n" },
    ]);
    expect(wrong).toEqual(['b printed "23" where 2 was to come']);
    expect(checkOutput([{ agent: "a", text: "1\nx\n" }]).wrong).toHaveLength(1);
    expect(checkOutput([{ agent: "a", text: "1\n3" }]).wrong).toEqual([
      'the output ends with "3" where 2 was to come',
    ]);
  });
});

describe("the check of the run times", () => {
  it("takes one after the other, with a pause and without an end", () => {
    const times = [
      { agent: "a", from: 0, to: 100 },
      { agent: "a", from: 110, to: 200 },
      { agent: "b", from: 120, to: undefined },
    ];
    expect(checkRunTimes(times)).toEqual([]);
  });

  it("sees two at the same time, however they are listed", () => {
    const a = { agent: "a", from: 0, to: undefined };
    const b = { agent: "b", from: 500, to: 600 };
    const text = "a and b ran the guest at the same time for 100 ms";
    expect(checkRunTimes([a, b])).toEqual([text]);
    expect(checkRunTimes([b, a])).toEqual([text]);
  });
});

describe("the check of the log", () => {
  it("takes a number that was not printed yet", () => {
    expect(checkLog(counted(1, 11), 10, 1)).toEqual([]);
  });

  it("sees a number twice, one that is missing, and one that was printed and is not there", () => {
    expect(checkLog("1\n2\n2\n3\n", 3, 1)).not.toEqual([]);
    expect(checkLog("1\n3\n", 3, 1)).not.toEqual([]);
    expect(checkLog(counted(1, 9), 10, 1)).toEqual(["the log ends with 9, and 10 was printed"]);
    expect(checkLog(counted(1, 12), 10, 1)).toEqual(["the log goes on to 12, and the output ends with 10"]);
  });
});

describe("the check of the drive", () => {
  const PLACES = 1024;
  const STRIDE = 40;

  /** As the guest leaves it after so many numbers. */
  function drive(last: number): Buffer {
    const image = Buffer.alloc(PLACES * STRIDE + 7);
    for (let number = 1; number <= last; number++) {
      const at = (number % PLACES) * STRIDE;
      image.writeUInt32LE(0x434e5444, at);
      image.writeUInt32LE(number, at + 4);
      image.writeUInt32LE(image.readUInt32LE(at + 8) + 1, at + 8);
    }
    return image;
  }

  it("takes what the guest leaves, and a number that was not printed yet", () => {
    for (const last of [0, 1, 1023, 1024, 1025, 3000]) {
      expect(checkDrive(drive(last), last, 1)).toEqual([]);
      expect(checkDrive(drive(last + 1), last, 1)).toEqual([]);
    }
  });

  it("sees a write that is missing, one too many, and one that was made twice", () => {
    const lost = drive(2000);
    drive(1999).copy(
      lost,
      (2000 % PLACES) * STRIDE,
      (2000 % PLACES) * STRIDE,
      (2000 % PLACES) * STRIDE + STRIDE,
    );
    expect(checkDrive(lost, 2000, 1)).toHaveLength(1);
    expect(checkDrive(drive(2005), 2000, 1)).toHaveLength(1);
    const twice = drive(2000);
    const visits = (1500 % PLACES) * STRIDE + 8;
    twice.writeUInt32LE(twice.readUInt32LE(visits) + 1, visits);
    expect(checkDrive(twice, 2000, 1)).toEqual([
      "place 476 of the drive was written to 3 times by number 1500",
    ]);
  });
});
