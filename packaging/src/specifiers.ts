// What a module names others by: in imports, and in addresses like `new URL("thread.ts", import.meta.url)`.

/** A string that is the name of a module, by what is in front of it. */
const SPECIFIER = /\b(from|import|import\()(\s*)"([\w@./:-]+)"/gu;
const ADDRESS = /new URL\("([^"\n]+)\.([jt]s)", import\.meta\.url\)/gu;

/** Everything that is imported, exported from or named as a type; without comments, which may have examples. */
export function specifiers(text: string): readonly string[] {
  return Array.from(withoutComments(text).matchAll(SPECIFIER), ([, , , name = ""]) => name);
}

/** The packages that must be there for this module, or its types: `ws`, `@peregrine/protocol`. */
export function packagesOf(text: string): readonly string[] {
  const bare = specifiers(text).filter((name) => !/^(?:\.|\/|node:)/u.test(name));
  return Array.from(
    new Set(
      bare.map((name) =>
        name
          .split("/")
          .slice(0, name.startsWith("@") ? 2 : 1)
          .join("/"),
      ),
    ),
  );
}

/** The modules that are named by their addresses: paths relative to this one, as they are written. */
export function addresses(text: string): readonly string[] {
  return Array.from(text.matchAll(ADDRESS), ([, path = "", extension = ""]) => `${path}.${extension}`);
}

/** A module that the compiler made, with the names that the compiler leaves as they were: addresses, and imports of types. */
export function withCompiledNames(text: string): string {
  return text
    .replaceAll(ADDRESS, (_, path: string) => `new URL("${path}.js", import.meta.url)`)
    .replaceAll(SPECIFIER, (all, word: string, space: string, name: string) =>
      /^\..*\.ts$/u.test(name) ? `${word}${space}"${name.slice(0, -3)}.js"` : all,
    );
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*(?:\/\*\*?[\s\S]*?\*\/|\/\/.*)/gmu, "");
}
