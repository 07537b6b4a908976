import type { Difference } from "./qmp-comparison.ts";

/** A difference from QEMU 10.0 that is meant. */
export interface KnownDifference {
  /** What it is about, for readers. */
  readonly about: string;
  /** What was asked, or a part of it. */
  readonly asked: RegExp;
  /** What differs, as a {@link Difference} tells it. */
  readonly at: RegExp;
  readonly why: string;
  /** It depends on how fast the machines are whether QEMU shows it. */
  readonly sometimes?: true;
}

const NOT_BUILT = "they belong to what is not built, and a switch that does nothing is not offered";
const SKIPPED = "QEMU had it up to 7.2 at least, so clients may expect it. It is always 0, as it was there";

const UNBUILT_PARAMETERS = [
  "direct-io",
  "max-postcopy-bandwidth",
  "mode",
  "multifd-qatzip-level",
  "vcpu-dirty-limit",
  "x-checkpoint-delay",
  "x-vcpu-dirty-limit-period",
  "zero-page-detection",
];

const UNBUILT_CAPABILITIES = [
  "background-snapshot",
  "dirty-bitmaps",
  "dirty-limit",
  "late-block-activate",
  "postcopy-blocktime",
  "postcopy-preempt",
  "postcopy-ram",
  "rdma-pin-all",
  "release-ram",
  "validate-uuid",
  "x-colo",
  "x-ignore-shared",
  "zero-copy-send",
];

const GLOBALS = [
  "globals",
  "clear-bitmap-shift",
  "only-migratable",
  "send-configuration",
  "send-section-footer",
  "send-switchover-start",
  "store-global-state",
];

const named = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");
const oneOf = (before: string, names: readonly string[], after: string): RegExp =>
  new RegExp(`^${before}(?:${names.join("|")})${after}`);

/** Every difference that the session may show. Each of them has to show, so that none outlives its reason. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    about: "the greeting offers no `oob`",
    asked: /^greeting$/,
    at: /^QMP\.capabilities/,
    why: "commands out of band are for postcopy, which is not built",
  },
  {
    about: "the text that refuses an unknown capability in `qmp_capabilities`",
    asked: /"enable":\["nope"\]/,
    at: /^error\.desc$/,
    why: "QEMU calls the parameter 'null'",
  },
  {
    about: "the text behind `JSON parse error`",
    asked: /^(?:\{"execute": \}|\{"execute":"stop",\}|\{"execute":"query-status" "id":1\})$/,
    at: /^error\.desc$/,
    why: "another parser says what is wrong",
  },
  {
    about: `\`query-migrate-parameters\` without ${named(UNBUILT_PARAMETERS)}`,
    asked: /^query-migrate-parameters/,
    at: oneOf(String.raw`return\.`, UNBUILT_PARAMETERS, "$"),
    why: NOT_BUILT,
  },
  {
    about: "`info migrate_parameters` without the same",
    asked: /"info migrate_parameters"/,
    at: oneOf("", UNBUILT_PARAMETERS, ":"),
    why: NOT_BUILT,
  },
  {
    about: `\`query-migrate-capabilities\` without ${named(UNBUILT_CAPABILITIES)}`,
    asked: /^query-migrate-capabilities/,
    at: oneOf(String.raw`return\.`, UNBUILT_CAPABILITIES, "$"),
    why: NOT_BUILT,
  },
  {
    about: "`info migrate_capabilities` without the same",
    asked: /"info migrate_capabilities"/,
    at: oneOf("", UNBUILT_CAPABILITIES, ":$"),
    why: NOT_BUILT,
  },
  {
    about: "`info migrate_parameters` with `multifd-zlib-level` and `multifd-zstd-level`",
    asked: /"info migrate_parameters"/,
    at: /^multifd-(?:zlib|zstd)-level:$/,
    why: "QEMU does not list them",
  },
  {
    about: "the text that refuses an unknown scheme of a URI in `migrate`",
    asked: /^(?:migrate \{"uri":"x|human-monitor-command \{"command-line":"migrate -d x)/,
    at: /^(?:error\.desc|text)$/,
    why: "it is that of QEMU 2.0",
  },
  {
    about: "the state that is `failed` after an unknown scheme, and named when `migrate-continue` is refused",
    asked: /^migrate-continue \{"state":"pre-switchover"\}$|"migrate_continue pre-switchover"/,
    at: /^(?:error\.desc|text)$/,
    why: "QEMU 2.0 had it so",
  },
  {
    about: "the text for `migrate_set_capability` without `on` or `off`",
    asked: /"migrate_set_capability xbzrle"/,
    at: /^text$/,
    why: "a word that is missing is called missing, whatever it would have to be",
  },
  {
    about: `\`info migrate\` without ${named(GLOBALS)}`,
    asked: /"info migrate"/,
    at: oneOf("", GLOBALS, ":$"),
    why: "they are properties of QEMU's machine types",
  },
  {
    about: "`info migrate` with or without `dirty pages rate`, `precopy ram`, `downtime ram`",
    asked: /"info migrate"/,
    at: /^(?:dirty pages rate: pages|(?:precopy|downtime) ram: kbytes)$/,
    why: "they are printed if they are not 0, which is up to the guest",
    sometimes: true,
  },
  {
    about: "`info migrate` with `skipped`",
    asked: /"info migrate"/,
    at: /^skipped: pages$/,
    why: SKIPPED,
  },
  {
    about: "`query-migrate` with `ram.skipped`",
    asked: /^query-migrate/,
    at: /^return\.ram\.skipped$/,
    why: SKIPPED,
  },
  {
    about: "`query-migrate` with `x-peregrine-progress` while a migration is under way",
    asked: /^query-migrate/,
    at: /^return\.x-peregrine-progress$/,
    why: "it tells whether the migration is going to end, which QEMU does not",
  },
  {
    about: "`query-migrate` without `error-desc` after a cancel",
    asked: /^query-migrate after a cancel/,
    at: /^return\.error-desc$/,
    why: "a cancel is no failure; QEMU tells what became of its connection",
    sometimes: true,
  },
];

/** Events that only we have. */
export const OWN_EVENTS: ReadonlySet<string> = new Set(["ANNOUNCE"]);

export function isKnown(difference: Difference): boolean {
  return KNOWN_DIFFERENCES.some((known) => explains(known, difference));
}

/** Those that no difference has shown. */
export function unseen(differences: readonly Difference[]): KnownDifference[] {
  return KNOWN_DIFFERENCES.filter(
    (known) => known.sometimes !== true && !differences.some((difference) => explains(known, difference)),
  );
}

function explains({ asked, at }: KnownDifference, difference: Difference): boolean {
  return asked.test(difference.asked) && at.test(difference.at);
}
