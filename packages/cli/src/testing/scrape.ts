import { once } from "node:events";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";

/** What an agent has answered to who asked for its metrics. */
export interface Scraped {
  readonly status: number | undefined;
  readonly text: string;
  /** By name and labels, as they are printed. */
  readonly samples: ReadonlyMap<string, number>;
}

/** Asks as Prometheus does. @param where as the agent says it: `http://…` or `unix:PATH`. */
export async function scrape(where: string, token?: string): Promise<Scraped> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const asked = where.startsWith("unix:")
    ? request({ socketPath: where.slice("unix:".length), path: "/metrics", headers, agent: false })
    : request(where, { headers, agent: false });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part as string;
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const samples = lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))] as const;
  });
  return { status: response.statusCode, text, samples: new Map(samples) };
}
