// Runs the demonstration, and makes the picture of it that the README shows.
//
//   node scripts/record-demo.ts             runs it: docs/demo.cast, docs/demo.svg
//   node scripts/record-demo.ts --render    makes docs/demo.svg of docs/demo.cast

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type CastEvent, formatCast, parseCast } from "./recording/cast.ts";
import { renderSvg } from "./recording/render-svg.ts";

const CAST = fileURLToPath(new URL("../docs/demo.cast", import.meta.url));
const SVG = fileURLToPath(new URL("../docs/demo.svg", import.meta.url));

async function record(): Promise<void> {
  const events: CastEvent[] = [];
  const child = spawn("sh", [fileURLToPath(new URL("demo.sh", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const start = performance.now();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    events.push({ at: (performance.now() - start) / 1000, text });
    process.stdout.write(text);
  });
  const [status] = (await once(child, "close")) as [number | null];
  if (status !== 0) throw new Error(`the demonstration ended with status ${status}`);
  writeFileSync(CAST, formatCast({ title: "npx -y pnpm@12 run demo", width: 112, events }));
}

if (!process.argv.includes("--render")) await record();
writeFileSync(SVG, renderSvg(parseCast(readFileSync(CAST, "utf8"))));
