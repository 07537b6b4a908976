/** What a program printed, and when: as asciicast v2 has it, a header and an event a line. */
export interface Cast {
  readonly title: string;
  readonly width: number;
  readonly events: readonly CastEvent[];
}

export interface CastEvent {
  /** Seconds since the start. */
  readonly at: number;
  readonly text: string;
}

export function formatCast({ title, width, events }: Cast): string {
  const header = { version: 2, width, height: 24, title };
  const lines = events.map(({ at, text }) => JSON.stringify([Number(at.toFixed(3)), "o", text]));
  return `${[JSON.stringify(header), ...lines].join("\n")}\n`;
}

/** Errors: when it is no recording of this kind. */
export function parseCast(text: string): Cast {
  const [first = "", ...rest] = text.trimEnd().split("\n");
  const { version, title, width } = JSON.parse(first) as { version: number; title: string; width: number };
  if (version !== 2) throw new Error("it is no asciicast of version 2");
  const events = rest.map((line) => {
    const [at, , printed] = JSON.parse(line) as [number, string, string];
    return { at, text: printed };
  });
  return { title, width, events };
}
