/** What has a place of its own in a line, or is no use to a person. */
const PLACED: ReadonlySet<string> = new Set(["level", "time", "msg"]);

/** An entry of the log, as pino makes it, in one line for a person: `15:04:05.678 info: text (guest=web)`. */
export function textLine(json: string): string {
  const entry = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const { level, time, msg } = entry;
  const at = new Date(Number(time)).toISOString().slice(11, 23);
  const fields = Object.entries(entry)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, value]) => `${name}=${plain(value)}`);
  const more = fields.length === 0 ? "" : ` (${fields.join(", ")})`;
  return `peregrine: ${at} ${String(level)}: ${String(msg)}${more}\n`;
}

/** Without quotes where none are needed. What would move the cursor, or begin a line, is escaped. */
function plain(value: unknown): string {
  const quoted = JSON.stringify(value);
  return typeof value === "string" ? quoted.slice(1, -1) : quoted;
}
