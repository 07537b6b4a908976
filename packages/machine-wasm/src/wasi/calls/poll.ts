import { CLOCK_ABSOLUTE, EVENT_HANGUP, EventType, MAX_SUBSCRIPTIONS, Size } from "../abi.ts";
import type { HostCalls, WasiContext } from "../context.ts";
import { errnoNumber, HostError } from "../errno.ts";
import { requireRights } from "../descriptors.ts";
import type { ErrnoName } from "../errno.ts";
import { Right } from "../rights.ts";

type Subscription =
  | {
      readonly type: "clock";
      readonly userdata: bigint;
      readonly clock: number;
      readonly timeoutNs: bigint;
      readonly absolute: boolean;
    }
  | { readonly type: "read" | "write"; readonly userdata: bigint; readonly fd: number }
  | { readonly type: "invalid"; readonly userdata: bigint; readonly tag: number };

interface PollEvent {
  readonly userdata: bigint;
  readonly type: number;
  readonly error: ErrnoName;
  readonly bytes: bigint;
  readonly hangup: boolean;
}

/** Longest a wait is given a deadline for; beyond it, it waits without one. */
const FOR_EVER_NS = 1n << 62n;

/**
 * Waiting. Relative timeouts count from the moment the call was first made: when the guest unwinds
 * out of it, that moment stays in the state, and the call that is issued again waits for the rest.
 */
export function pollCalls(context: WasiContext): HostCalls {
  const { memory, clock, control } = context;
  return {
    poll_oneoff(subscriptionsAt: number, eventsAt: number, count: number, storedAt: number) {
      if (count === 0 || count > MAX_SUBSCRIPTIONS) throw new HostError("EINVAL");
      memory.check(subscriptionsAt, count * Size.subscription);
      memory.check(eventsAt, count * Size.event);
      memory.check(storedAt, 4);
      // All are read before anything is written: the guest may use one buffer for both.
      const subscriptions = readSubscriptions(context, subscriptionsAt, count);
      const startedNs = context.pollStartedNs ?? clock.monotonicNs();
      context.pollStartedNs = undefined;
      for (;;) {
        const events = readyEvents(context, subscriptions, startedNs);
        if (events.length > 0) {
          memory.write(eventsAt, encodeEvents(events));
          memory.writeU32(storedAt, events.length);
          return;
        }
        if (control.interrupted()) {
          context.pollStartedNs = startedNs;
          control.unwind();
        }
        control.wait(hostDeadline(context, subscriptions, startedNs));
      }
    },
  };
}

function readSubscriptions({ memory }: WasiContext, at: number, count: number): Subscription[] {
  return Array.from({ length: count }, (_, index): Subscription => {
    const start = at + index * Size.subscription;
    const userdata = memory.readU64(start);
    const tag = memory.readU8(start + 8);
    switch (tag) {
      case EventType.clock:
        return {
          type: "clock",
          userdata,
          clock: memory.readU32(start + 16),
          timeoutNs: memory.readU64(start + 24),
          absolute: (memory.readU16(start + 40) & CLOCK_ABSOLUTE) !== 0,
        };
      case EventType.fdRead:
      case EventType.fdWrite:
        return {
          type: tag === EventType.fdRead ? "read" : "write",
          userdata,
          fd: memory.readU32(start + 16),
        };
      default:
        return { type: "invalid", userdata, tag };
    }
  });
}

function readyEvents(
  context: WasiContext,
  subscriptions: readonly Subscription[],
  startedNs: bigint,
): PollEvent[] {
  return subscriptions.flatMap((subscription) => {
    try {
      return readyEvent(context, subscription, startedNs) ?? [];
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      return [makeEvent(subscription, { error: error.errno })];
    }
  });
}

/** Undefined when the subscription has to wait. Throws HostError for one that never can be met. */
function readyEvent(
  context: WasiContext,
  subscription: Subscription,
  startedNs: bigint,
): PollEvent | undefined {
  switch (subscription.type) {
    case "clock":
      return remainingNs(context, subscription, startedNs) <= 0n ? makeEvent(subscription) : undefined;
    case "read":
      return readReady(context, subscription);
    case "write": {
      const descriptor = requireRights(
        context.table.get(subscription.fd),
        Right.pollFdReadwrite | Right.fdWrite,
      );
      if (descriptor.kind === "directory") throw new HostError("EBADF");
      return makeEvent(subscription);
    }
    default:
      throw new HostError("EINVAL");
  }
}

function readReady(
  context: WasiContext,
  subscription: Subscription & { readonly type: "read" | "write" },
): PollEvent | undefined {
  const descriptor = requireRights(context.table.get(subscription.fd), Right.pollFdReadwrite | Right.fdRead);
  if (descriptor.kind === "directory") throw new HostError("EBADF");
  if (descriptor.kind === "file") {
    const left = context.files.stat(descriptor.handle).size - descriptor.position;
    return makeEvent(subscription, { bytes: left > 0n ? left : 0n });
  }
  const readable = context.input.readable();
  if (readable === "end") return makeEvent(subscription, { hangup: true });
  return readable > 0 ? makeEvent(subscription, { bytes: BigInt(readable) }) : undefined;
}

/** Time until a clock subscription is due; its sign says whether it is. */
function remainingNs(
  { clock }: WasiContext,
  subscription: Subscription & { readonly type: "clock" },
  startedNs: bigint,
): bigint {
  // Reading the clock first refuses one that does not exist. A duration is the same on every clock.
  const now = clock.now(subscription.clock);
  if (subscription.absolute) return subscription.timeoutNs - now;
  return startedNs + subscription.timeoutNs - clock.monotonicNs();
}

/** The earliest deadline of all, on the host's monotonic clock. */
function hostDeadline(
  context: WasiContext,
  subscriptions: readonly Subscription[],
  startedNs: bigint,
): bigint | undefined {
  let least = FOR_EVER_NS;
  for (const subscription of subscriptions) {
    if (subscription.type !== "clock") continue;
    const remaining = remainingNs(context, subscription, startedNs);
    if (remaining < least) least = remaining;
  }
  if (least === FOR_EVER_NS) return undefined;
  return context.clock.toHost(context.clock.monotonicNs()) + least;
}

function makeEvent(
  subscription: Subscription,
  result: { error?: ErrnoName; bytes?: bigint; hangup?: boolean } = {},
): PollEvent {
  const types = { clock: EventType.clock, read: EventType.fdRead, write: EventType.fdWrite };
  return {
    userdata: subscription.userdata,
    type: subscription.type === "invalid" ? subscription.tag : types[subscription.type],
    error: result.error ?? "SUCCESS",
    bytes: result.bytes ?? 0n,
    hangup: result.hangup ?? false,
  };
}

function encodeEvents(events: readonly PollEvent[]): Uint8Array {
  const bytes = new Uint8Array(events.length * Size.event);
  const view = new DataView(bytes.buffer);
  for (const [index, event] of events.entries()) {
    const at = index * Size.event;
    view.setBigUint64(at, event.userdata, true);
    view.setUint16(at + 8, errnoNumber(event.error), true);
    view.setUint8(at + 10, event.type);
    view.setBigUint64(at + 16, event.bytes, true);
    view.setUint16(at + 24, event.hangup ? EVENT_HANGUP : 0, true);
  }
  return bytes;
}
