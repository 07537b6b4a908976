// Decodes mutated recordings of real QEMU until the time is over or one of them breaks a rule.
//
//   pnpm fuzz [--seconds N] [--seed N] [--target NAME] [--path PATH]

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { fuzz } from "./run.ts";
import { TARGETS } from "./targets.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    target: { type: "string" },
    path: { type: "string" },
  },
});
const { target, path } = values;
const seed = Number(values.seed);
const seconds = Number(values.seconds);
const names = TARGETS.map(({ name }) => name);
if (!Number.isInteger(seed) || !(seconds > 0))
  throw new Error("--seed is a whole number, and --seconds one above 0");
if (target !== undefined && !names.includes(target))
  throw new Error(`--target is one of ${names.join(", ")}`);

console.log(`seed ${seed}, ${seconds} s`);
for await (const { target: name, runs, finding } of fuzz({ seconds, seed, target, path })) {
  console.log(`${name}: ${runs} runs${finding === undefined ? "" : `, then a ${finding.kind}`}`);
  if (finding === undefined) continue;
  console.log(
    `${finding.text}\n\nonce more: pnpm fuzz --target ${name} --seed ${seed} --path ${finding.path}`,
  );
  process.exitCode = 1;
}
