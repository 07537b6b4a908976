import type { Difference } from "./qmp-comparison.ts";

/** A difference from QEMU 10.0 that is meant. */
export interface KnownDifference {
  /** What was asked, or a part of it. */
  readonly asked: RegExp;
  /** What differs, as a {@link Difference} tells it. */
  readonly at: RegExp;
  readonly why: string;
  /** It depends on how fast the machines are whether QEMU shows it. */
  readonly sometimes?: true;
}

const NOT_BUILT = "belongs to what is not built; a switch that does nothing is not offered";
const SKIPPED =
  "a key of QEMU 2.0 that its clients may expect; QEMU has removed it in 8.1. It is always 0, as it was there";

const UNBUILT_PARAMETERS =
  "direct-io|zero-page-detection|multifd-qatzip-level|mode|tls-creds|tls-hostname|tls-authz|vcpu-dirty-limit|" +
  "x-vcpu-dirty-limit-period|max-postcopy-bandwidth|x-checkpoint-delay";
const UNBUILT_CAPABILITIES =
  "rdma-pin-all|postcopy-ram|x-colo|release-ram|dirty-bitmaps|postcopy-blocktime|late-block-activate|" +
  "x-ignore-shared|validate-uuid|background-snapshot|zero-copy-send|postcopy-preempt|dirty-limit";

/** Every difference that the session may show. Each of them has to show, so that none outlives its reason. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    asked: /^greeting$/,
    at: /^QMP\.capabilities/,
    why: "commands out of band are for postcopy, which is not built",
  },
  { asked: /"enable":\["nope"\]/, at: /^error\.desc$/, why: "QEMU calls the parameter 'null'" },
  {
    asked: /^(?:\{"execute": \}|\{"execute":"stop",\}|\{"execute":"query-status" "id":1\})$/,
    at: /^error\.desc$/,
    why: "another parser says what is wrong with JSON",
  },
  {
    asked: /^query-migrate-parameters/,
    at: new RegExp(`^return\\.(?:${UNBUILT_PARAMETERS})$`),
    why: NOT_BUILT,
  },
  {
    asked: /^query-migrate-capabilities/,
    at: new RegExp(`^return\\.(?:${UNBUILT_CAPABILITIES})$`),
    why: NOT_BUILT,
  },
  { asked: /"info migrate_parameters"/, at: new RegExp(`^(?:${UNBUILT_PARAMETERS}):`), why: NOT_BUILT },
  { asked: /"info migrate_capabilities"/, at: new RegExp(`^(?:${UNBUILT_CAPABILITIES}):$`), why: NOT_BUILT },
  {
    asked: /"info migrate_parameters"/,
    at: /^multifd-(?:zlib|zstd)-level:$/,
    why: "QEMU does not list the levels of multifd's compression",
  },
  {
    asked: /^(?:migrate \{"uri":"x|human-monitor-command \{"command-line":"migrate -d x)/,
    at: /^(?:error\.desc|text)$/,
    why: "QEMU 2.0 said \"Parameter 'uri' expects a valid migration protocol\"",
  },
  {
    asked: /^migrate-continue \{"state":"pre-switchover"\}$|"migrate_continue pre-switchover"/,
    at: /^(?:error\.desc|text)$/,
    why: "as in QEMU 2.0, an unknown scheme leaves the state 'failed', which is named here",
  },
  {
    asked: /"migrate_set_capability xbzrle"/,
    at: /^text$/,
    why: "a word that is missing is called missing, whatever it would have to be",
  },
  {
    asked: /"info migrate"/,
    at: /^(?:globals|store-global-state|only-migratable|send-configuration|send-section-footer|send-switchover-start|clear-bitmap-shift):$/,
    why: "properties of QEMU's machine types",
  },
  {
    asked: /"info migrate"/,
    at: /^(?:dirty pages rate: pages|(?:precopy|downtime) ram: kbytes)$/,
    why: "printed only if it is not 0, which is up to the guest",
    sometimes: true,
  },
  { asked: /"info migrate"/, at: /^skipped: pages$/, why: SKIPPED },
  { asked: /^query-migrate/, at: /^return\.ram\.skipped$/, why: SKIPPED },
  {
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
