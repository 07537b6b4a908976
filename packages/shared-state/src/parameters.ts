import { MigrationError } from "@peregrine/protocol";

interface ParameterRule {
  readonly initial: number;
  /** Largest value allowed; the smallest is 0. */
  readonly most: number;
  /** What a client reads when its value is no integer from 0 to `most`. */
  readonly refusal: (value: number) => string;
}

/** JSON's 2^64 - 1 is 2^64 once it is a number. */
const MAX_UINT64 = 2 ** 64;
const NS_PER_MS = 1_000_000;
const NS_PER_SECOND = 1_000_000_000;

/** Every parameter of a migration, in the order of their slots in shared memory. */
const RULES = {
  /** Bytes per second; 0 is unlimited. */
  "max-bandwidth": {
    initial: 32 << 20,
    most: MAX_UINT64,
    refusal: () => "Parameter 'max-bandwidth' expects uint64",
  },
  /** Milliseconds that the guest may stand still. */
  "downtime-limit": {
    initial: 30,
    most: 2_000_000,
    refusal: (value) =>
      Number.isInteger(value)
        ? "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms"
        : "Parameter 'downtime-limit' expects uint64",
  },
} satisfies Record<string, ParameterRule>;

export type ParameterName = keyof typeof RULES;

const NAMES = Object.keys(RULES) as ParameterName[];

/** The answer of `query-migrate-parameters`. */
export type ParameterValues = { readonly [N in ParameterName]: number };

/**
 * The parameters of all migrations of a process, in shared memory: a change takes effect at once, also
 * in the migration thread.
 */
export class MigrationParameters {
  /** For opening the same parameters in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;

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

  /** Milliseconds, with fractions when it was set in seconds. */
  get downtimeLimit(): number {
    return this.#read("downtime-limit");
  }

  /** Nanoseconds. */
  get downtimeLimitNs(): number {
    return this.downtimeLimit * NS_PER_MS;
  }

  /** Every parameter, as a client reads it: whole numbers. */
  values(): ParameterValues {
    return { "max-bandwidth": this.maxBandwidth, "downtime-limit": Math.round(this.downtimeLimit) };
  }

  /** Sets all of `changes`, or none of them. Errors: BAD_PARAMETER. */
  set(changes: Readonly<Record<string, unknown>>): void {
    const checked = Object.entries(changes).map(([name, value]) => checkParameter(name, value));
    for (const { name, value } of checked) this.#write(name, value);
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

  #read(name: ParameterName): number {
    return this.#values[NAMES.indexOf(name)]!;
  }

  #write(name: ParameterName, value: number): void {
    this.#values[NAMES.indexOf(name)] = value;
  }
}

function checkParameter(name: string, value: unknown): { name: ParameterName; value: number } {
  if (!isParameter(name)) throw badParameter(`Parameter '${name}' is unexpected`);
  const { most, refusal } = RULES[name];
  const number = typeof value === "number" ? value : Number.NaN;
  if (!Number.isInteger(number) || number < 0 || number > most) throw badParameter(refusal(number));
  return { name, value: number };
}

function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(RULES, name);
}

function badParameter(message: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", message);
}
