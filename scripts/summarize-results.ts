/**
 * Adds up vitest's JSON reports of a folder: tells what failed, and prints "N passed, N failed" as the last line. A step
 * that failed otherwise counts as one.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** What is read of vitest's report. Runs that are not vitest's write the counts alone. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults?: readonly TestFile[];
}

interface TestFile {
  readonly name: string;
  readonly status: string;
  /** Why the file could not be loaded. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

const [directory, stepStatus] = process.argv.slice(2);
if (directory === undefined) throw new Error("usage: summarize-results FOLDER STATUS");
let passed = 0;
let failed = 0;
for (const name of readdirSync(directory).filter((file) => file.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(directory, name), "utf8")) as Report;
  console.log(`${name}: ${report.numPassedTests} passed, ${report.numFailedTests} failed`);
  for (const file of report.testResults ?? []) tellFailures(file);
  passed += report.numPassedTests;
  failed += report.numFailedTests;
}
if (failed === 0 && (stepStatus !== "0" || passed === 0)) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** The end of a log is what people see of it first, and often all that is kept. */
function tellFailures(file: TestFile): void {
  if (file.status !== "failed") return;
  const path = relative(process.cwd(), file.name);
  if (file.message !== "") console.log(`  ${path}: ${file.message}`);
  for (const test of file.assertionResults) {
    if (test.status !== "failed") continue;
    console.log(`  ${path}: ${test.fullName}`);
    for (const message of test.failureMessages) console.log(message.replaceAll(/^/gm, "    "));
  }
}
