/** Checks the workflows of `.github` as GitHub does before it runs them, and that other people's actions have a version. */
import { readdirSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const DIRECTORY = fileURLToPath(new URL("../.github/workflows", import.meta.url));

// The parser imports JSON without saying so, as bundlers allow.
registerHooks({
  load: (url, context, next) =>
    next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context),
});
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } =
  await import("@actions/workflow-parser");

/** What is wrong with a workflow, a line each. */
async function faultsOf(name: string, content: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  const faults = context.errors.getErrors().map(({ message }) => message);
  if (value !== undefined && faults.length === 0) {
    const { errors } = await convertWorkflowTemplate(context, value);
    faults.push(...(errors ?? []).map(({ Message }) => `${name}: ${Message}`));
  }
  const actions = content.matchAll(/^\s*(?:- )?uses: *(?<action>\S+)/gmu);
  for (const { groups } of actions) {
    const action = groups!["action"]!;
    if (!/@(?:v\d+(?:\.\d+)*|[0-9a-f]{40})$/u.test(action))
      faults.push(`${name}: '${action}' has no version`);
  }
  if (!/^permissions:(?: \{\})?$/mu.test(content))
    faults.push(`${name}: it does not say what it may do (permissions)`);
  return faults;
}

let failed = false;
for (const name of readdirSync(DIRECTORY)) {
  for (const fault of await faultsOf(name, readFileSync(join(DIRECTORY, name), "utf8"))) {
    console.error(fault);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
