// Decodes mutated recordings of real QEMU until the time is over or one of them breaks a rule.
//
//   pnpm fuzz [--seconds N] [--seed N] [--target NAME] [--path PATH]

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { fuzz } from "./run.ts";
import { TARGETS } from "./targets.ts";

const names = TARGETS.map(({ name }) => name);
const { target, path, ...given } = options();
const seed = Number(given.seed);
const seconds = Number(given.seconds);
if (!Number.isInteger(seed)) fail("--seed is a whole number");
if (!(seconds > 0)) fail("--seconds is a number above 0");
if (target !== undefined && !names.includes(target)) fail(`--target is one of ${names.join(", ")}`);

console.log(`seed ${seed}, ${seconds} s`);
for await (const { target: name, runs, finding } of fuzz({ seconds, seed, target, path })) {
  console.log(`${name}: ${runs} runs${finding === undefined ? "" : `, then a ${finding.kind}`}`);
  if (finding === undefined) continue;
  console.log(
    `${finding.text}\n\nonce more: pnpm fuzz --target ${name} --seed ${seed} --path ${finding.path}`,
  );
  process.exitCode = 1;
}

function options(): { seconds: string; seed: string; target?: string; path?: string } {
  try {
    return parseArgs({
      options: {
        seconds: { type: "string", default: "60" },
        seed: { type: "string", default: String(randomInt(2 ** 31)) },
        target: { type: "string" },
        path: { type: "string" },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(sentence: string): never {
  console.error(`fuzz: ${sentence}`);
  process.exit(2);
}
