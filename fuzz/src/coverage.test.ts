import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { Coverage } from "./coverage.ts";

const SOURCE = `/** A comment of code(); */
export interface Shape {
  readonly sides: number;
}

// Another one.
export function sides(shape: Shape): number {
  if (shape.sides < 0) {
    throw new Error("none");
  }
  return shape.sides;
}

export function never(): void {
  sides({ sides: 1 });
}
`;

const folder = mkdtempSync(join(tmpdir(), "coverage-"));
const root = pathToFileURL(`${folder}/`);
writeFileSync(join(folder, "shape.ts"), SOURCE);
afterAll(() => rmSync(folder, { recursive: true }));

const at = (text: string): number => SOURCE.indexOf(text);
const functions = (sidesRuns: number, throws: number) => [
  {
    functionName: "",
    isBlockCoverage: true,
    ranges: [{ startOffset: 0, endOffset: SOURCE.length, count: 1 }],
  },
  {
    functionName: "sides",
    isBlockCoverage: true,
    ranges: [
      { startOffset: at("function sides"), endOffset: at("export function never") - 2, count: sidesRuns },
      { startOffset: at("{\n    throw"), endOffset: at("  return"), count: throws },
    ],
  },
  {
    functionName: "never",
    isBlockCoverage: true,
    ranges: [{ startOffset: at("function never"), endOffset: SOURCE.length - 1, count: 0 }],
  },
];

test("lines and functions that have run are added up over threads; comments and types are no lines", () => {
  const coverage = new Coverage(root, ["shape.ts"]);
  const url = new URL("shape.ts", root).href;
  // Two exports, and in them an if, a throw, a return and a call.
  expect(coverage.files()[0]).toEqual({
    file: "shape.ts",
    lines: 6,
    linesReached: 0,
    functions: 0,
    functionsReached: 0,
  });
  coverage.add([{ scriptId: "1", url, functions: functions(1, 0) }]);
  expect(coverage.files()[0]).toMatchObject({ linesReached: 4, functions: 2, functionsReached: 1 });
  coverage.add([{ scriptId: "1", url, functions: functions(1, 1) }]);
  coverage.add([{ scriptId: "2", url: `${url}x`, functions: functions(1, 1) }]);
  expect(coverage.files()[0]).toMatchObject({ linesReached: 5, functions: 2, functionsReached: 1 });
});
