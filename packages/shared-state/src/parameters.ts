import { MigrationError } from "@peregrine/protocol";
import type { MultifdCompression } from "@peregrine/protocol";
import { PAGE_SIZE } from "./machine.ts";
import { checkText, isTextParameter, TEXT_PARAMETERS } from "./text-parameters.ts";
import type { TextParameterName, TextParameterValues } from "./text-parameters.ts";

interface ParameterRule {
  /** As it is held in shared memory: a choice is held as its index. */
  readonly initial: number;
  /** What a client's value is held as; undefined when it is refused. */
  readonly hold: (value: unknown) => number | undefined;
  /** What a client reads when its value is refused. */
  readonly refusal: (value: unknown) => string;
}

/** JSON's 2^64 - 1 is 2^64 once it is a number. */
const MAX_UINT64 = 2 ** 64;
const MAX_UINT8 = 255;
const NS_PER_MS = 1_000_000;
const NS_PER_SECOND = 1_000_000_000;

const MULTIFD_COMPRESSIONS: readonly MultifdCompression[] = ["none", "zlib", "zstd"];

/** Every parameter of a migration, in the order of their slots in shared memory. */
const RULES = {
  /** Milliseconds between the first and the second announcement of a guest that has arrived. */
  "announce-initial": rangeOf("announce-initial", 50, between("uint64", 0, 100_000)),
  /** Milliseconds: the longest time between two announcements. */
  "announce-max": rangeOf("announce-max", 550, between("uint64", 0, 100_000)),
  "announce-rounds": rangeOf("announce-rounds", 5, between("uint64", 0, 1000)),
  /** Milliseconds that are added for each announcement. */
  "announce-step": rangeOf("announce-step", 100, {
    ...between("uint64", 1, 10_000),
    // As QEMU says it, which refuses 0 as well.
    words: "a value between 0 and 10000",
  }),
  /** Percent: what the guest may dirty of the bytes sent, before auto-converge throttles it. */
  "throttle-trigger-threshold": rangeOf("throttle-trigger-threshold", 50, percent(100)),
  "cpu-throttle-initial": rangeOf("cpu-throttle-initial", 20, percent(99)),
  "cpu-throttle-increment": rangeOf("cpu-throttle-increment", 10, percent(99)),
  /** Whether the steps become smaller near the end. */
  "cpu-throttle-tailslow": {
    initial: 0,
    hold: (value) => (typeof value === "boolean" ? Number(value) : undefined),
    refusal: () => "Invalid parameter type for 'cpu-throttle-tailslow', expected: boolean",
  },
  /** Bytes per second; 0 is unlimited. */
  "max-bandwidth": {
    initial: 32 << 20,
    hold: integerBetween(0, MAX_UINT64),
    refusal: () => "Parameter 'max-bandwidth' expects uint64",
  },
  /** Bytes per second to be reckoned with when the guest is to be stopped; 0 is what was measured. */
  "avail-switchover-bandwidth": {
    initial: 0,
    hold: integerBetween(0, MAX_UINT64),
    refusal: () => "Parameter 'avail-switchover-bandwidth' expects uint64",
  },
  /** Milliseconds that the guest may stand still. */
  "downtime-limit": {
    initial: 30,
    hold: integerBetween(0, 2_000_000),
    refusal: (value) =>
      Number.isInteger(value)
        ? "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms"
        : "Parameter 'downtime-limit' expects uint64",
  },
  /** Bytes of pages that the source keeps to send deltas to them. */
  "xbzrle-cache-size": {
    initial: 64 << 20,
    hold: (value) => (isCacheSize(value) ? value : undefined),
    refusal: (value) =>
      Number.isInteger(value)
        ? "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size"
        : "Parameter 'xbzrle-cache-size' expects uint64",
  },
  /** Connections for pages, besides the main one. */
  "multifd-channels": rangeOf("multifd-channels", 2, between("uint8", 1, 255)),
  "multifd-compression": {
    initial: 0,
    hold: (value) => {
      const index = MULTIFD_COMPRESSIONS.findIndex((compression) => compression === value);
      return index < 0 ? undefined : index;
    },
    refusal: (value) =>
      typeof value === "string"
        ? `Parameter 'multifd-compression' does not accept value '${value}'`
        : "Invalid parameter type for 'multifd-compression', expected: string",
  },
  "multifd-zlib-level": rangeOf("multifd-zlib-level", 1, between("uint8", 0, 9)),
  "multifd-zstd-level": rangeOf("multifd-zstd-level", 1, between("uint8", 0, 20)),
  "max-cpu-throttle": rangeOf("max-cpu-throttle", 99, {
    ...percent(99),
    words: "an integer in the range of cpu_throttle_initial to 99",
  }),
} satisfies Record<string, ParameterRule>;

type NumberName = keyof typeof RULES;

/** A parameter of migrations, by its name in QMP. */
export type ParameterName = NumberName | TextParameterName;

const NAMES = Object.keys(RULES) as NumberName[];

/** The answer of `query-migrate-parameters`. */
export type ParameterValues = {
  readonly [N in Exclude<NumberName, "multifd-compression" | "cpu-throttle-tailslow">]: number;
} & {
  readonly "multifd-compression": MultifdCompression;
  readonly "cpu-throttle-tailslow": boolean;
} & TextParameterValues;

/**
 * The parameters of all migrations of a process, in shared memory: a change takes effect at once, also
 * in the migration thread. Those of multifd take effect with the next migration. So do texts, which only the object has
 * that they were set on: threads are started with what the texts stand for.
 */
export class MigrationParameters {
  /** For opening the same parameters in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;
  readonly #texts: Record<TextParameterName, string> = { ...TEXT_PARAMETERS };

  /** @param buffer of another thread's MigrationParameters; new ones have their defaults. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(NAMES.length * Float64Array.BYTES_PER_ELEMENT);
    this.#values = new Float64Array(this.buffer, 0, NAMES.length);
    if (buffer !== undefined) return;
    for (const name of NAMES) this.#write(name, RULES[name].initial);
  }

  /** Bytes per second; 0 is unlimited. */
  get maxBandwidth(): number {
    return this.#read("max-bandwidth");
  }

  /** Bytes per second; 0 is what was measured. */
  get availSwitchoverBandwidth(): number {
    return this.#read("avail-switchover-bandwidth");
  }

  /** Percent. */
  get throttleTriggerThreshold(): number {
    return this.#read("throttle-trigger-threshold");
  }

  /** Percent, as are the increment and the most. */
  get cpuThrottleInitial(): number {
    return this.#read("cpu-throttle-initial");
  }

  get cpuThrottleIncrement(): number {
    return this.#read("cpu-throttle-increment");
  }

  get cpuThrottleTailslow(): boolean {
    return this.#read("cpu-throttle-tailslow") === 1;
  }

  get maxCpuThrottle(): number {
    return this.#read("max-cpu-throttle");
  }

  /** Milliseconds, with fractions when it was set in seconds. */
  get downtimeLimit(): number {
    return this.#read("downtime-limit");
  }

  /** Nanoseconds. */
  get downtimeLimitNs(): number {
    return this.downtimeLimit * NS_PER_MS;
  }

  /** Bytes: a power of two, at least one page. */
  get xbzrleCacheSize(): number {
    return this.#read("xbzrle-cache-size");
  }

  get multifdChannels(): number {
    return this.#read("multifd-channels");
  }

  get multifdCompression(): MultifdCompression {
    return MULTIFD_COMPRESSIONS[this.#read("multifd-compression")]!;
  }

  get multifdZlibLevel(): number {
    return this.#read("multifd-zlib-level");
  }

  get multifdZstdLevel(): number {
    return this.#read("multifd-zstd-level");
  }

  /** Every parameter, as a client reads it: whole numbers, and choices by their names. */
  values(): ParameterValues {
    return {
      "announce-initial": this.#read("announce-initial"),
      "announce-max": this.#read("announce-max"),
      "announce-rounds": this.#read("announce-rounds"),
      "announce-step": this.#read("announce-step"),
      "throttle-trigger-threshold": this.throttleTriggerThreshold,
      "cpu-throttle-initial": this.cpuThrottleInitial,
      "cpu-throttle-increment": this.cpuThrottleIncrement,
      "cpu-throttle-tailslow": this.cpuThrottleTailslow,
      "max-bandwidth": this.maxBandwidth,
      "avail-switchover-bandwidth": this.availSwitchoverBandwidth,
      "downtime-limit": Math.round(this.downtimeLimit),
      "xbzrle-cache-size": this.xbzrleCacheSize,
      "multifd-channels": this.multifdChannels,
      "multifd-compression": this.multifdCompression,
      "multifd-zlib-level": this.multifdZlibLevel,
      "multifd-zstd-level": this.multifdZstdLevel,
      "max-cpu-throttle": this.maxCpuThrottle,
      ...this.texts(),
    };
  }

  /** Those that are texts. Empty: not set. */
  texts(): TextParameterValues {
    return { ...this.#texts };
  }

  /** Sets all of `changes`, or none of them. Errors: BAD_PARAMETER. */
  set(changes: Readonly<Record<string, unknown>>): void {
    const checked: { readonly name: NumberName; readonly value: number }[] = [];
    const texts: { readonly name: TextParameterName; readonly value: string }[] = [];
    for (const [name, value] of Object.entries(changes)) {
      if (isTextParameter(name)) texts.push({ name, value: checkText(name, value) });
      else checked.push(checkParameter(name, value));
    }
    const wanted = (name: NumberName): number =>
      checked.find((change) => change.name === name)?.value ?? this.#read(name);
    const mostThrottle = wanted("max-cpu-throttle");
    if (wanted("cpu-throttle-initial") > mostThrottle) {
      throw badParameter(RULES["max-cpu-throttle"].refusal(mostThrottle));
    }
    for (const { name, value } of checked) this.#write(name, value);
    for (const { name, value } of texts) this.#texts[name] = value;
  }

  /** As `migrate_set_speed`: bytes per second; a negative value becomes 0. Errors: BAD_PARAMETER. */
  setSpeed(bytesPerSecond: number): void {
    if (!Number.isInteger(bytesPerSecond)) throw badParameter("Parameter 'value' expects int");
    this.#write("max-bandwidth", Math.min(Math.max(bytesPerSecond, 0), MAX_UINT64));
  }

  /** As `migrate_set_downtime`: seconds, held to 0 … 2^64 - 1 ns. Errors: BAD_PARAMETER. */
  setDowntime(seconds: number): void {
    if (Number.isNaN(seconds)) throw badParameter("Parameter 'value' expects number");
    const ns = Math.min(Math.max(seconds * NS_PER_SECOND, 0), MAX_UINT64);
    this.#write("downtime-limit", ns / NS_PER_MS);
  }

  /**
   * As `migrate-set-cache-size`: `bytes` is rounded down to a power of two.
   * @param ramBytes of the guest's memory, the most that is accepted.
   * Errors: BAD_PARAMETER, in the words that clients know.
   */
  setCacheSize(bytes: number, ramBytes: number): void {
    const refuse = (why: string): MigrationError => badParameter(`Parameter 'cache size' expects ${why}`);
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw refuse("exceeding address space");
    if (bytes > ramBytes) throw refuse("exceeds guest ram size ");
    if (bytes < PAGE_SIZE) throw refuse("is smaller than page size");
    const floor = 2 ** Math.floor(Math.log2(bytes));
    // The logarithm of a number just below a power of two may be rounded up to that of the power.
    this.#write("xbzrle-cache-size", floor > bytes ? floor / 2 : floor);
  }

  #read(name: NumberName): number {
    return this.#values[NAMES.indexOf(name)]!;
  }

  #write(name: NumberName, value: number): void {
    this.#values[NAMES.indexOf(name)] = value;
  }
}

function integerBetween(least: number, most: number): ParameterRule["hold"] {
  return (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most
      ? value
      : undefined;
}

interface NumberRange {
  readonly type: "uint8" | "uint64";
  readonly least: number;
  readonly most: number;
  /** What a client reads that such a number is to be. */
  readonly words: string;
}

function rangeOf(name: string, initial: number, { type, least, most, words }: NumberRange): ParameterRule {
  return {
    initial,
    hold: integerBetween(least, most),
    refusal: (value) => {
      // QEMU reads every whole number as 64 bits first.
      if (integerBetween(-MAX_UINT64, MAX_UINT64)(value) === undefined) {
        return `Parameter '${name}' expects uint64`;
      }
      const fits = type === "uint64" || integerBetween(0, MAX_UINT8)(value) !== undefined;
      return fits
        ? `Parameter '${name.replaceAll("-", "_")}' expects ${words}`
        : `Parameter '${name}' expects uint8_t`;
    },
  };
}

function between(type: NumberRange["type"], least: number, most: number): NumberRange {
  return { type, least, most, words: `a value between ${least} and ${most}` };
}

function percent(most: number): NumberRange {
  return { type: "uint8", least: 1, most, words: `an integer in the range of 1 to ${most}` };
}

function isCacheSize(value: unknown): value is number {
  return (
    typeof value === "number" &&
    Number.isSafeInteger(value) &&
    value >= PAGE_SIZE &&
    2 ** Math.round(Math.log2(value)) === value
  );
}

function checkParameter(name: string, value: unknown): { name: NumberName; value: number } {
  if (!isParameter(name)) throw badParameter(`Parameter '${name}' is unexpected`);
  const { hold, refusal }: ParameterRule = RULES[name];
  const held = hold(value);
  if (held === undefined) throw badParameter(refusal(value));
  return { name, value: held };
}

function isParameter(name: string): name is NumberName {
  return Object.hasOwn(RULES, name);
}

function badParameter(message: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", message);
}
