import type { IncomingMigration } from "@peregrine/dest-agent";
import type { AgentFigures } from "@peregrine/metrics";
import type { AgentObservation, Ownership } from "@peregrine/monitor";
import { pictureOf } from "@peregrine/shared-state";
import type { IncomingSnapshot, OutgoingSnapshot, RunControl } from "@peregrine/shared-state";
import type { OutgoingMigration } from "@peregrine/source-agent";
import type { GuestMachine } from "./guest-machine.ts";
import { arrivalReport, imageReport } from "./agent-report.ts";
import type { AgentReport } from "./agent-report.ts";
import type { GuestNetwork } from "./guest-network.ts";
import type { GuestHooks } from "./hooks/guest-hooks.ts";
import { handOverReports } from "./hand-overs.ts";
import { VERSION } from "./version.ts";

interface AgentParts {
  readonly name: string;
  readonly machine: GuestMachine;
  readonly run: RunControl;
  readonly incoming: IncomingMigration | undefined;
  readonly outgoing: OutgoingMigration;
  readonly network: GuestNetwork;
  readonly hooks: GuestHooks | undefined;
}

/** An agent as others see it: nothing here changes anything. */
export class AgentView {
  readonly #parts: AgentParts;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /** Which side has the guest, as far as is known here. */
  get ownership(): Ownership {
    const { incoming, run, outgoing } = this.#parts;
    if (incoming?.query().kind === "undecided") return "undecided";
    return run.state === "inmigrate" ? "not-owner" : outgoing.ownership;
  }

  /** How far a guest is that leaves, and one that arrives; undefined before there was one. */
  get progress(): {
    readonly outgoing: OutgoingSnapshot | undefined;
    readonly incoming: IncomingSnapshot | undefined;
  } {
    return { outgoing: this.#parts.outgoing.progress, incoming: this.#parts.incoming?.progress };
  }

  /** What a dashboard shows besides the report. @param cells of the picture of memory; 0: none. */
  observe(cells: number): Omit<AgentObservation, "info"> {
    const { incoming, outgoing } = this.#parts;
    const { pageMap, passes } = outgoing;
    const progress = this.progress;
    return {
      incoming: incoming?.info() ?? null,
      outgoing: progress.outgoing ?? null,
      arriving: progress.incoming ?? null,
      passes: passes.records(),
      memory: cells === 0 || pageMap === undefined ? null : pictureOf(pageMap, cells),
    };
  }

  /** What metrics are made from. As cheap as it can be: nothing of the guest is looked through. */
  figures(): AgentFigures {
    const { name, machine, run, incoming, outgoing } = this.#parts;
    const arrival = incoming?.query();
    return {
      guest: name,
      machine: machine.type,
      version: VERSION,
      runState: run.state,
      owner: this.ownership,
      memory: machine.memoryBytes,
      ...this.progress,
      outgoingError: outgoing.error?.code,
      downtimeParts: partsOf(outgoing),
      incomingError: arrival?.kind === "failed" ? arrival.error.code : undefined,
    };
  }

  /** What `x-peregrine-info` answers. */
  report({ target, moved }: { readonly target: string | undefined; readonly moved: boolean }): AgentReport {
    const { name, machine, run, incoming, outgoing, network, hooks } = this.#parts;
    const { error } = outgoing;
    const progress = this.progress;
    return {
      name,
      pid: process.pid,
      machine: machine.type,
      program: machine.program ?? null,
      status: run.state,
      role: incoming === undefined ? "source" : "destination",
      owner: this.ownership,
      handOvers: handOverReports(incoming, outgoing),
      memory: machine.memoryBytes,
      image: imageReport(machine.summary),
      interfaces: network.report(),
      hooks: hooks?.report() ?? [],
      migration: outgoing.query(),
      progress: progress.outgoing ?? null,
      incoming: progress.incoming ?? null,
      target: target ?? null,
      copied: outgoing.copied,
      arrival: arrivalReport(incoming?.query()),
      moved,
      error: error === undefined ? null : { code: error.code, message: error.message },
      downtime: outgoing.downtimeBreakdown ?? null,
    };
  }
}

function partsOf({ downtimeBreakdown }: OutgoingMigration): Readonly<Record<string, number>> | undefined {
  if (downtimeBreakdown === undefined) return undefined;
  const { total: _, ...parts } = downtimeBreakdown;
  return parts;
}
