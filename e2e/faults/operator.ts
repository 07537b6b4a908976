import type { Host } from "../src/agent-process.ts";
import type { WatchedAgent } from "./agents.ts";
import type { Run } from "./run-result.ts";

type Place = "source" | "destination" | "nowhere";

export interface Sides {
  readonly run: Run;
  readonly host: Host;
  readonly source: WatchedAgent;
  /** Undefined where the harness plays it: it has no guest then. */
  readonly destination: WatchedAgent | undefined;
}

/**
 * Does what an operator is to do: looks at what both sides know, and tells those that do not know who has the guest.
 * The side that does not get it is told first.
 */
export async function resolveDoubt({ run, host, source, destination }: Sides): Promise<void> {
  const doubts: {
    readonly agent: WatchedAgent;
    readonly other: WatchedAgent | undefined;
    readonly is: Place;
    readonly place: Place;
  }[] = [];
  for (const [agent, is, other] of [
    [source, "source", destination],
    [destination, "destination", source],
  ] as const) {
    const seen = await agent?.seen();
    if (agent === undefined || seen?.kind !== "alive" || seen.owner !== "undecided") continue;
    const place = other === undefined ? "source" : await askAbout(run, host, agent, other);
    if (place !== undefined) doubts.push({ agent, other, is, place });
  }
  if (doubts.length === 2 && doubts[0]!.place !== doubts[1]!.place) {
    run.fails(`the two sides advise against each other: ${doubts.map(({ place }) => place).join(", ")}`);
    return;
  }
  const decisions = doubts.map(({ place, is, ...sides }) => ({
    ...sides,
    as: place === is ? "owner" : "gone",
  }));
  for (const { agent, other, as } of decisions.toSorted((a, b) => a.as.localeCompare(b.as))) {
    await peregrine(run, host, ["resolve", agent.name, "--as", as, ...peerOf(other)]);
  }
}

/** What `peregrine resolve` says that both sides know. */
async function askAbout(
  run: Run,
  host: Host,
  agent: WatchedAgent,
  other: WatchedAgent,
): Promise<Place | undefined> {
  const text = await peregrine(run, host, ["resolve", agent.name, ...peerOf(other)]);
  if (text.includes("so: the guest belongs to the source")) return "source";
  if (text.includes("so: the guest belongs to the destination")) return "destination";
  if (text.includes("so: the guest has ended")) return "nowhere";
  run.fails(`the operator is not told where the guest belongs: ${text}`);
  return undefined;
}

function peerOf(other: WatchedAgent | undefined): string[] {
  return other === undefined ? [] : ["--peer", other.name, "--peer-state", other.state];
}

/** Runs a command, which has to succeed. @returns what it printed. */
export async function peregrine(run: Run, host: Host, args: readonly string[]): Promise<string> {
  const command = host.start(args, "operator");
  const { status } = await command.ended;
  const text = command.stdout.text + command.stderr.text;
  run.diary.note("operator", `peregrine ${args.join(" ")}\n${text}`);
  if (status !== 0) run.fails(`peregrine ${args.join(" ")} ended with status ${status}: ${text}`);
  return text;
}
