import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { KNOWN_DIFFERENCES, OWN_EVENTS } from "./qmp-differences.ts";

export const DIFFERENCES_DOCUMENT = fileURLToPath(
  new URL("../../../docs/QMP-DIFFERENCES.md", import.meta.url),
);

/** `docs/QMP-DIFFERENCES.md`, made from the table that the recorded session is compared by. */
export function renderDifferencesDocument(): string {
  return [
    "# Differences from QEMU's monitor",
    "",
    "A session with QEMU 10.0 is played again with our monitors (`e2e/src/qemu/qmp-session.test.ts`). The keys, their",
    "types, the classes and texts of errors, and the events are the same but for these.",
    `The event ${[...OWN_EVENTS].map((event) => `\`${event}\``).join(", ")} is our own.`,
    "",
    "This file is made from `e2e/src/qemu/qmp-differences.ts` by",
    "`node e2e/src/qemu/qmp-differences-document.ts`.",
    "",
    "| here | why |",
    "| --- | --- |",
    ...KNOWN_DIFFERENCES.map(({ about, why }) => `| ${about} | ${why} |`),
    "",
  ].join("\n");
}

if (import.meta.main) writeFileSync(DIFFERENCES_DOCUMENT, renderDifferencesDocument());
