import { expect, test } from "vitest";
import { jsonOutput, textOutput } from "./open-log.ts";
import { textLine } from "./text-line.ts";

function collect(): { readonly text: () => string; write(text: string): boolean } {
  let all = "";
  return {
    text: () => all,
    write: (text) => {
      all += text;
      return true;
    },
  };
}

test("an entry is a line with its time, level and fields", () => {
  const entry = {
    level: "info",
    time: Date.UTC(2026, 0, 2, 15, 4, 5, 678),
    msg: "run state",
    guest: "web",
    n: 1,
  };
  expect(textLine(JSON.stringify(entry))).toBe("peregrine: 15:04:05.678 info: run state (guest=web, n=1)\n");
});

test("text holds control characters and lines of others back", () => {
  const lines = collect();
  textOutput("info", lines).log.info("text", { guest: "a\nb\u001b[2J" });
  expect(lines.text().endsWith(" info: text (guest=a\\nb\\u001b[2J)\n")).toBe(true);
});

test("as JSON messages and entries are objects, each on a line, with what they are about", () => {
  const lines = collect();
  const { log, say, sayError } = jsonOutput("info", lines);
  say("Guest 'b' is awaited on tcp:127.0.0.1:4444");
  sayError({ code: "CONNECT_FAILED", message: "Failed to connect" });
  log.info("migration", { guest: "web", migration: 1, status: "active", code: undefined });
  log.debug("pass", { guest: "web" });
  const objects = lines
    .text()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(objects).toMatchObject([
    { level: "info", msg: "Guest 'b' is awaited on tcp:127.0.0.1:4444", pid: process.pid },
    { level: "error", code: "CONNECT_FAILED", msg: "Failed to connect" },
    { level: "info", msg: "migration", guest: "web", migration: 1, status: "active" },
  ]);
  expect(objects).toHaveLength(3);
  for (const { time } of objects) expect(new Date(time as string).toISOString()).toBe(time);
});

test("a field that is named like a secret has no value in the log", () => {
  const lines = collect();
  jsonOutput("info", lines).log.info("text", { token: "correct-horse" });
  textOutput("info", lines).log.info("text", { password: "battery-staple" });
  expect(lines.text()).toContain("[Redacted]");
  expect(lines.text()).not.toMatch(/correct-horse|battery-staple/u);
});
