import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

const BUILDER = `
  import { build } from ${JSON.stringify(import.meta.resolve("../build.ts"))};
  await build(process.argv[1]);
`;

test("a build that changes nothing leaves what is there alone, wherever it is started", () => {
  using folder = new TemporaryDirectory();
  const target = join(folder.path, "dist");
  const built = (cwd: string): readonly number[] => {
    execFileSync(process.execPath, ["--input-type=module", "--eval", BUILDER, target], { cwd });
    return readdirSync(target).map((file) => statSync(join(target, file)).ino);
  };
  const first = built(tmpdir());
  expect(first.length).toBeGreaterThan(10);
  // Whoever runs from these files reads more of them later.
  expect(built("/")).toEqual(first);
  expect(readdirSync(folder.path)).toEqual(["dist"]);
});
