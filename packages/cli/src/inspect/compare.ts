import { differences, readStreamContents } from "@peregrine/stream-inspector";
import type { StreamDifference, Values } from "@peregrine/stream-inspector";
import type { StreamSource } from "../inspect-options.ts";
import { formatSize } from "@peregrine/shared-state";
import { SHOWN_DIGITS, valueText } from "./field-text.ts";
import { CODECS } from "./inspect-input.ts";
import { openInputs } from "./inputs.ts";
import type { Output } from "./output.ts";
import { counted } from "./table.ts";

/** What differs between two streams. @returns 0: nothing does; 1. Errors: the first fault of either. */
export async function compare(
  { paths, maxRam }: StreamSource,
  others: readonly string[],
  output: Output,
): Promise<number> {
  const one = await readStreamContents(() => openInputs(paths), CODECS, maxRam);
  const other = await readStreamContents(() => openInputs(others), CODECS, maxRam);
  let status = 0;
  for (const difference of differences(one, other)) {
    status = 1;
    if (output.json) output.object(difference);
    else output.line(differenceText(difference));
    await output.ready();
  }
  if (status === 0 && !output.json) output.line("no difference");
  return status;
}

function differenceText(difference: StreamDifference): string {
  const { item } = difference;
  switch (item) {
    case "configuration": {
      const [a, b] = difference.values;
      return `configuration: ${difference.field}: ${a ?? "none"} | ${b ?? "none"}`;
    }
    case "block": {
      const [a, b] = difference.values.map((bytes) => (bytes === null ? "none" : `${Number(bytes)} bytes`));
      return `RAM block '${difference.block}': ${a} | ${b}`;
    }
    case "pages":
      return pagesText(difference);
    case "device": {
      const [a, b] = difference.values.map((version) => (version === null ? "none" : `version ${version}`));
      return `device '${difference.device}': ${a} | ${b}`;
    }
    default: {
      const { device, path, type, values } = difference;
      return `device '${device}': ${path === "" ? "its bytes" : path}${valuesText(values, type)}`;
    }
  }
}

/** Both values; of long ones what stands where they begin to differ. */
function valuesText(values: Values, type: string): string {
  const at = firstDifference(values);
  const [a, b] = values.map((value) => {
    if (value === null) return "none";
    return valueText(typeof value === "string" ? value.slice(at) : value, type);
  });
  return `${at === 0 ? "" : `, from byte ${at / 2} on`}: ${a} | ${b}`;
}

/** Digits of hex, a whole byte's, that two long values have in common. */
function firstDifference([a, b]: Values): number {
  if (typeof a !== "string" || typeof b !== "string" || Math.max(a.length, b.length) <= SHOWN_DIGITS)
    return 0;
  let at = 0;
  while (a[at] === b[at]) at += 1;
  return at - (at % 2);
}

function pagesText(difference: StreamDifference & { readonly item: "pages" }): string {
  const { block, pages, differing, ranges } = difference;
  const named = ranges.map(({ offset, size }) => `0x${offset.toString(16)} (${formatSize(size)})`);
  const listed = ranges.reduce((sum, { size }) => sum + size, 0) / 4096;
  const more = listed < differing ? ", ..." : "";
  return `RAM block '${block}': ${differing} of ${counted(pages, "page")} differ, at ${named.join(", ")}${more}`;
}
