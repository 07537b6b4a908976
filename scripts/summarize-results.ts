/** Adds up vitest's JSON reports of a folder and prints "N passed, N failed" as the last line. A step that failed otherwise counts as one. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
}

const [directory, stepStatus] = process.argv.slice(2);
if (directory === undefined) throw new Error("usage: summarize-results FOLDER STATUS");
let passed = 0;
let failed = 0;
for (const name of readdirSync(directory).filter((file) => file.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(directory, name), "utf8")) as Report;
  console.log(`${name}: ${report.numPassedTests} passed, ${report.numFailedTests} failed`);
  passed += report.numPassedTests;
  failed += report.numFailedTests;
}
if (failed === 0 && (stepStatus !== "0" || passed === 0)) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
