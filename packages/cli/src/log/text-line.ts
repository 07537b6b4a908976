/** What has a place of its own in a line, or is no use to a person. */
const PLACED: ReadonlySet<string> = new Set(["level", "time", "msg"]);

/** An entry of the log, as pino makes it, in one line for a person: `15:04:05.678 info: text (guest=web)`. */
export function textLine(json: string): string {
  const entry = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const { level, time, msg } = entry;
  const at = new Date(Number(time)).toISOString().slice(11, 23);
  const fields = Object.entries(entry)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const more = fields.length === 0 ? "" : ` (${fields.join(", ")})`;
  return `peregrine: ${at} ${String(level)}: ${String(msg)}${more}\n`;
}
