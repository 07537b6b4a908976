import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { parsed } from "./testing/recorded-command.ts";
import type { ProgramName } from "./command-line.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const UNITS = join(ROOT, "packaging/systemd");
const names = readdirSync(UNITS);
const directory = mkdtempSync(join(tmpdir(), "peregrine-units-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const noSystemd = spawnSync("systemd-analyze", ["--version"]).status !== 0;

/** What `systemd-analyze verify` says of an instance of a unit. */
function verify(name: string, text: string): { readonly status: number | null; readonly said: string } {
  writeFileSync(join(directory, name), text);
  const instance = join(directory, name.replace("@", "@web"));
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", instance], {
    encoding: "utf8",
  });
  return { status, said: stderr };
}

test.skipIf(noSystemd).each(names)("%s is what systemd takes", (name) => {
  const text = readFileSync(join(UNITS, name), "utf8");
  const { status, said } = verify(name, text);
  expect(said.split("\n").filter((line) => line.includes("peregrine"))).toEqual([]);
  expect(status).toBe(0);
  // It would say so if it were otherwise.
  const wrong = verify(name, text.replace("NoNewPrivileges=yes", "NoNewPrivilegs=yes"));
  expect(wrong.said).toContain("NoNewPrivilegs");
});

test.skipIf(noSystemd)("the drop-in of the guide is what systemd takes", () => {
  const guide = readFileSync(join(ROOT, "docs/two-hosts.md"), "utf8");
  const dropIn = /console\.conf <<'END'\n(?<text>.*?\n)END\n/su.exec(guide)!.groups!["text"]!;
  const unit = readFileSync(join(UNITS, "peregrine-run@.service"), "utf8");
  mkdirSync(join(directory, "peregrine-run@web.service.d"));
  writeFileSync(join(directory, "peregrine-run@web.service.d/console.conf"), dropIn);
  expect(verify("peregrine-run@.service", unit)).toMatchObject({ status: 0 });
  // That the drop-in was looked at.
  writeFileSync(
    join(directory, "peregrine-run@web.service.d/console.conf"),
    dropIn.replace("Ambient", "Ambiant"),
  );
  expect(verify("peregrine-run@.service", unit).said).toContain("AmbiantCapabilities");
});

test("both units are shut off alike, and neither can be written to by others", () => {
  const hardening = names.map((name) => {
    const lines = readFileSync(join(UNITS, name), "utf8").split("\n");
    return lines.slice(lines.indexOf("User=peregrine"));
  });
  expect(hardening[0]).toEqual(hardening[1]);
  for (const setting of [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "CapabilityBoundingSet=",
  ]) {
    expect(hardening[0]).toContain(setting);
  }
});

test.each(names)("%s starts what is there, with a configuration file", async (name) => {
  const [, script, file] = /^ExecStart=\/usr\/bin\/env node (\S+) --config (\S+)$/mu.exec(
    readFileSync(join(UNITS, name), "utf8"),
  )!;
  const program = /\/(?<program>[a-z-]+)\.mjs$/u.exec(script!)!.groups!["program"] as ProgramName;
  const here = join(ROOT, script!.replace("/opt/peregrine/", ""));
  expect(execFileSync(process.execPath, [here, "--version"], { encoding: "utf8" })).toMatch(/^peregrine /u);
  const configuration = join(directory, file!.replaceAll("/", "_"));
  writeFileSync(configuration, program === "source-agent" ? `program = "a.wasm"` : `uri = "tcp:h:1"`);
  const { command } = await parsed(["--config", configuration], program);
  expect(file).toBe(`/etc/peregrine/%i-${command}.toml`);
});
