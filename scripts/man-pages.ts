// Writes the pages of the manual, made from the definitions of the commands.
//
//   node scripts/man-pages.ts [DIRECTORY]    without it: packages/cli/man

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { manual } from "../packages/cli/src/manual.ts";

const directory = process.argv[2] ?? fileURLToPath(new URL("../packages/cli/man", import.meta.url));
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
for (const { file, text } of manual()) writeFileSync(join(directory, file), text);
