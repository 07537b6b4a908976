import { MigrationError } from "@peregrine/protocol";
import type { HandOverStep, MigrationId } from "@peregrine/protocol";
import { setTimeout as delay } from "node:timers/promises";
import type { MainLink } from "./main-link.ts";
import type { ReturnPathReader } from "./return-path-reader.ts";
import type { SwitchoverOptions } from "./switchover.ts";

/** How long a guest that goes on here waits at most for the kernel to take the news. Milliseconds. */
const LAST_WORDS_MS = 100;

/**
 * Waits for the word of a destination that takes the guest when it has loaded everything. If the main thread wants the
 * guest back meanwhile, the stream is ended: a destination that has not accepted the guest by then gives up and closes.
 * Only its answer tells, so that the guest never runs at both ends.
 */
export async function confirmation(options: SwitchoverOptions, destination: ReturnPathReader): Promise<void> {
  const { link, timeouts, endStream } = options;
  const confirmed = destination.confirmed.then(() => "confirmed" as const);
  const revoked = link.revoked.then(() => "revoked" as const);

  const first = await within(timeouts.confirm, link, [confirmed, revoked]);
  if (first === "confirmed") return;
  if (first === "timeout") throw unconfirmed(options);
  await link.orAbort(endStream());
  if ((await within(timeouts.revoke, link, [confirmed])) === "timeout") throw cancelled();
}

/**
 * The same where the decision is this side's: the destination waits for it with everything loaded.
 * Errors: why the guest stays here; after the decision, why nobody knows what has become of it.
 */
export async function decision(
  options: SwitchoverOptions,
  destination: ReturnPathReader,
  migration: MigrationId,
): Promise<void> {
  const { link, timeouts } = options;
  const loaded = destination.loaded.then(() => "loaded" as const);
  const revoked = link.revoked.then(() => "revoked" as const);
  options.holdChannel(true);
  const first = await within(timeouts.confirm, link, [loaded, revoked]).catch(async (error: unknown) => {
    if (!destination.refused) await lastWords(options, migration);
    throw error;
  });
  options.holdChannel(false);
  if (first !== "loaded") {
    await keep(options, destination, migration);
    throw first === "timeout" ? unconfirmed(options) : cancelled();
  }
  const { refusal } = await link.ask({ kind: "loaded", into: "destination" }, "decided");
  if (refusal !== undefined) {
    await keep(options, destination, migration);
    throw MigrationError.deserialize(refusal);
  }
  destination.given();
  await say(options, "give", migration);
  const confirmed = destination.confirmed.then(() => "confirmed" as const);
  if ((await within(timeouts.confirm, link, [confirmed])) === "timeout") {
    const text = `The destination '${options.peer}' was given the guest and has not answered for ${timeouts.confirm / 1000} s`;
    throw new MigrationError("PEER_SILENT", text);
  }
}

/** Tells the destination that it does not get the guest, as far as it can be told. */
async function keep(
  options: SwitchoverOptions,
  destination: ReturnPathReader,
  migration: MigrationId,
): Promise<void> {
  const { link, timeouts, endStream } = options;
  destination.kept();
  const told = say(options, "keep", migration).then(endStream);
  // It closes when it has read that. Dropping the connection earlier could take the message back.
  await within(timeouts.revoke, link, [Promise.all([told, destination.over])]).catch(() => undefined);
}

/**
 * The same when nothing more comes from the destination: it may hear all the same, and would not know otherwise that it
 * has to give up what it holds. The guest waits meanwhile.
 */
async function lastWords(options: SwitchoverOptions, migration: MigrationId): Promise<void> {
  const said = sayKeep(options, migration).catch(() => undefined);
  await Promise.race([said, delay(LAST_WORDS_MS)]);
}

async function sayKeep(
  { writer, stream, endStream }: SwitchoverOptions,
  migration: MigrationId,
): Promise<void> {
  await writer.command({ kind: "hand-over", step: "keep", migration });
  await stream.flush();
  await endStream();
}

async function say(
  { link, writer, stream }: SwitchoverOptions,
  step: HandOverStep,
  migration: MigrationId,
): Promise<void> {
  await writer.command({ kind: "hand-over", step, migration });
  await link.orAbort(stream.flush());
}

async function within<T>(
  ms: number,
  link: MainLink,
  promises: readonly Promise<T>[],
): Promise<T | "timeout"> {
  const { promise, resolve } = Promise.withResolvers<"timeout">();
  const timer = setTimeout(resolve, ms, "timeout");
  try {
    return await link.orAbort(Promise.race([...promises, promise]));
  } finally {
    clearTimeout(timer);
  }
}

function cancelled(): MigrationError {
  return new MigrationError("CANCELLED", "The migration was cancelled");
}

function unconfirmed({ peer, timeouts }: SwitchoverOptions): MigrationError {
  return new MigrationError(
    "PEER_REFUSED",
    `The destination '${peer}' did not confirm within ${timeouts.confirm / 1000} s that it has loaded the guest`,
  );
}
