import { MigrationError } from "@peregrine/protocol";
import type { MigrationStatistics } from "@peregrine/shared-state";
import { DowntimeMeter } from "./downtime.ts";
import { confirmation, decision } from "./handing-over.ts";
import type { HandoverGate } from "./handover-gate.ts";
import type { LiveSection } from "./live-section.ts";
import type { MainLink } from "./main-link.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import { ReturnPathReader } from "./return-path-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import type { SilentPeer } from "./silent-peer.ts";
import type { Handover, MigrationTimeouts } from "./thread-messages.ts";

export interface SwitchoverOptions {
  readonly link: MainLink;
  readonly stream: OutgoingStream;
  readonly writer: SectionWriter;
  readonly sections: readonly LiveSection[];
  readonly destination: ReturnPathReader | SilentPeer;
  readonly gate: HandoverGate;
  readonly statistics: MigrationStatistics;
  /** Whether there are drives to be released: the destination takes them before it answers. */
  readonly releasesDrives: boolean;
  readonly timeouts: MigrationTimeouts;
  /** As error texts name the destination. */
  readonly peer: string;
  /** Gives the stream's end to the destination without waiting for an answer. */
  readonly endStream: () => Promise<void>;
  /** Whether the channel stays open when the attempt is given up: something is to be said before it ends. */
  readonly holdChannel: (hold: boolean) => void;
  /**
   * Whether what has gone out can be taken back until {@link endStream} has resolved: a file is removed then, and a
   * command is killed.
   */
  readonly revocable: boolean;
  /** Whether it goes into a file, and nobody takes it from there by himself. */
  readonly isFile: boolean;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Stops the guest, sends the rest and waits until the destination has it. A destination that is not to answer
 * gets the stream's end, and that is all.
 * Errors: why the guest could not be sent; it is to go on here then.
 */
export async function switchOver(options: SwitchoverOptions): Promise<Handover> {
  const { link, stream, writer, sections, destination, gate, statistics, now } = options;

  // The guest may be stopped, and paused, for as long as somebody likes. With nothing that waits to go out, the source can say
  // that it lives.
  await stream.flush();
  const meter = new DowntimeMeter(now);
  statistics.stopTime = now();
  const saved = link.message("devices-saved");
  const { pauseTime, migration } = await link.ask({ kind: "stop-guest" }, "guest-stopped");
  meter.mark("stop", pauseTime);

  stream.liftLimit();
  for (const section of sections) {
    await section.complete(() => meter.mark("harvest"));
    meter.mark("lastPages");
  }
  const { closing } = await saved;
  if (options.releasesDrives) {
    // What is written back may take long, too.
    await stream.flush();
    await link.ask({ kind: "release-drives" }, "drives-released");
  }

  const answers = destination instanceof ReturnPathReader;
  // Where nothing marks the end of the stream for certain, nothing can be said behind it.
  const canDecide = answers && destination.extensions.handOver && closing.ending.kind === "described";
  const offered = canDecide ? migration : undefined;
  if (offered !== undefined) await writer.command({ kind: "hand-over", step: "offer", migration: offered });
  await writer.late(closing);
  // What a slow way holds back is waited for while the migration can still be given up: behind the gate only the end is left.
  await stream.flush();
  link.check();
  if (!gate.pass()) throw new MigrationError("CANCELLED", "The migration was cancelled");
  destination.streamComplete(offered);
  await writer.ending(closing);
  await stream.flush();
  meter.mark("deviceState");

  if (answers && offered !== undefined) await decision(options, destination, offered);
  else if (answers) await confirmation(options, destination);
  else await endUnanswered(options);
  meter.mark("load");

  return { downtime: meter.breakdown(), confirmed: answers };
}

/** A command may take as long as it likes to end, but not longer than the main thread wants. */
async function endUnanswered({ link, endStream, revocable, isFile }: SwitchoverOptions): Promise<void> {
  if (isFile) {
    // The guest is in the file from the moment on at which that is complete, whatever becomes of this process.
    const { refusal } = await link.ask({ kind: "loaded", into: "file" }, "decided");
    if (refusal !== undefined) throw MigrationError.deserialize(refusal);
  }
  const ended = endStream().then(() => "ended" as const);
  const revoked = link.revoked.then(() => "revoked" as const);
  const first = await link.orAbort(revocable ? Promise.race([ended, revoked]) : ended);
  if (first === "revoked") throw new MigrationError("CANCELLED", "The migration was cancelled");
}
