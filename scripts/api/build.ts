// Writes the pages of the programming interface of all packages to docs/api. What is exported and has no description,
// and a link that leads nowhere, are errors.
//
//   node scripts/api/build.ts [DIRECTORY]
//
// typedoc needs the interface of the TypeScript compiler, which TypeScript 7 does not have yet. So this package has
// TypeScript 6, for nothing else.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, type DeclarationReflection, ReflectionKind } from "typedoc";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const packages = readdirSync(join(ROOT, "packages"));
const names = packages.map((directory) => {
  const manifest = readFileSync(join(ROOT, "packages", directory, "package.json"), "utf8");
  return (JSON.parse(manifest) as { readonly name: string }).name;
});

const application = await Application.bootstrap({
  name: "Peregrine",
  entryPoints: packages.map((directory) => join(ROOT, "packages", directory, "src/index.ts")),
  basePath: ROOT,
  displayBasePath: join(ROOT, "packages"),
  tsconfig: join(ROOT, "tsconfig.json"),
  readme: join(ROOT, "ARCHITECTURE.md"),
  excludePrivate: true,
  // `pnpm typecheck` has checked them, by the compiler that the sources are written for.
  skipErrorChecking: true,
  disableSources: true,
  highlightLanguages: ["ini", "js", "json", "sh", "text", "ts"],
  validation: { notDocumented: true, notExported: false, invalidLink: true },
  packagesRequiringDocumentation: names,
  requiredToBeDocumented: ["Class", "Interface", "TypeAlias", "Variable"],
});
const project = await application.convert();
if (project === undefined) process.exit(1);

application.validate(project);
// A method's name and types may say it all; a function that stands by itself has a description.
for (const reflection of project.getReflectionsByKind(ReflectionKind.Function)) {
  const { signatures = [] } = reflection as DeclarationReflection;
  if (signatures.every((signature) => !signature.hasComment())) {
    application.logger.warn(`${reflection.getFriendlyFullName()} does not have any documentation`);
  }
}
await application.generateDocs(project, process.argv[2] ?? join(ROOT, "docs/api"));
if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exit(1);
