import { expect, test } from "vitest";
import { FakeClock, Unwound, WasiCaller } from "../../test/wasi-caller.ts";

const MS = 1_000_000n;
const REALTIME = 0;
const MONOTONIC = 1;

type Wanted =
  | { clock: number; timeout: bigint; absolute?: boolean }
  | { read: number }
  | { write: number }
  | { tag: number };

interface Happened {
  userdata: bigint;
  error: number;
  type: number;
  bytes: bigint;
  flags: number;
}

/** Subscriptions in guest memory, ready to be issued again and again. */
class Poll {
  readonly #guest: WasiCaller;
  readonly #at: number;
  readonly #count: number;
  readonly #events: number;
  readonly #stored: number;

  constructor(guest: WasiCaller, ...wanted: Wanted[]) {
    this.#guest = guest;
    this.#count = wanted.length;
    this.#at = guest.alloc(48 * wanted.length);
    this.#events = guest.alloc(32 * wanted.length);
    this.#stored = guest.alloc(4);
    for (const [index, item] of wanted.entries())
      this.#write(this.#at + index * 48, BigInt(index + 100), item);
  }

  call(): Happened[] {
    this.#guest.ok("poll_oneoff", this.#at, this.#events, this.#count, this.#stored);
    const { view } = this.#guest;
    return Array.from({ length: this.#guest.u32(this.#stored) }, (_, index) => {
      const at = this.#events + index * 32;
      return {
        userdata: view.getBigUint64(at, true),
        error: view.getUint16(at + 8, true),
        type: view.getUint8(at + 10),
        bytes: view.getBigUint64(at + 16, true),
        flags: view.getUint16(at + 24, true),
      };
    });
  }

  #write(at: number, userdata: bigint, wanted: Wanted): void {
    const { view } = this.#guest;
    view.setBigUint64(at, userdata, true);
    if ("clock" in wanted) {
      view.setUint8(at + 8, 0);
      view.setUint32(at + 16, wanted.clock, true);
      view.setBigUint64(at + 24, wanted.timeout, true);
      view.setUint16(at + 40, wanted.absolute === true ? 1 : 0, true);
      return;
    }
    view.setUint8(at + 8, "read" in wanted ? 1 : "write" in wanted ? 2 : wanted.tag);
    if ("read" in wanted) view.setUint32(at + 16, wanted.read, true);
    if ("write" in wanted) view.setUint32(at + 16, wanted.write, true);
  }
}

/** Lets every wait last as long as it was asked to. */
function sleepThroughWaits(guest: WasiCaller): void {
  guest.control.onWait = (deadline) => {
    if (deadline === undefined) throw new Error("a wait without a deadline");
    guest.clock.advance(deadline - guest.clock.monotonic);
  };
}

test.each([
  ["relative, monotonic", { clock: MONOTONIC, timeout: 30n * MS }],
  ["relative, realtime", { clock: REALTIME, timeout: 30n * MS }],
  ["absolute, monotonic", { clock: MONOTONIC, timeout: 1_030n * MS, absolute: true }],
  ["absolute, realtime", { clock: REALTIME, timeout: 1_700_000_000_000_000_000n + 30n * MS, absolute: true }],
])("a timeout ends when it should: %s", (_name, wanted) => {
  const guest = new WasiCaller();
  sleepThroughWaits(guest);
  const events = new Poll(guest, wanted).call();
  expect(guest.clock.monotonic).toBe(1_030n * MS);
  expect(events).toEqual([{ userdata: 100n, error: 0, type: 0, bytes: 0n, flags: 0 }]);
});

test("wakes that come early change nothing", () => {
  const guest = new WasiCaller();
  guest.control.onWait = () => guest.clock.advance(7n * MS);
  new Poll(guest, { clock: MONOTONIC, timeout: 30n * MS }).call();
  expect(guest.clock.monotonic).toBe(1_035n * MS);
});

test("a timeout in the past, and one of zero, end at once", () => {
  const guest = new WasiCaller();
  const poll = new Poll(
    guest,
    { clock: MONOTONIC, timeout: 5n, absolute: true },
    { clock: REALTIME, timeout: 0n },
    { clock: MONOTONIC, timeout: 1n },
  );
  expect(poll.call().map((event) => event.userdata)).toEqual([100n, 101n]);
});

test("the earliest of several deadlines counts", () => {
  const guest = new WasiCaller();
  sleepThroughWaits(guest);
  const poll = new Poll(
    guest,
    { clock: MONOTONIC, timeout: 90n * MS },
    { clock: MONOTONIC, timeout: 10n * MS },
  );
  expect(poll.call().map((event) => event.userdata)).toEqual([101n]);
  expect(guest.clock.monotonic).toBe(1_010n * MS);
});

test("a timeout that does not end is waited for without a deadline", () => {
  const guest = new WasiCaller();
  guest.control.onWait = (deadline) => {
    expect(deadline).toBe(undefined);
    guest.console.type("!");
  };
  const poll = new Poll(guest, { clock: MONOTONIC, timeout: 0xffff_ffff_ffff_ffffn }, { read: 0 });
  expect(poll.call()).toEqual([{ userdata: 101n, error: 0, type: 1, bytes: 1n, flags: 0 }]);
});

test("console input, its end, and output that is always ready", () => {
  const guest = new WasiCaller();
  guest.console.type("abc");
  const poll = new Poll(guest, { read: 0 }, { write: 1 });
  expect(poll.call()).toEqual([
    { userdata: 100n, error: 0, type: 1, bytes: 3n, flags: 0 },
    { userdata: 101n, error: 0, type: 2, bytes: 0n, flags: 0 },
  ]);
  guest.read(0, 10);
  guest.console.ended = true;
  expect(poll.call()[0]).toEqual({ userdata: 100n, error: 0, type: 1, bytes: 0n, flags: 1 });
});

test("what can never happen is an event with an error", () => {
  const guest = new WasiCaller();
  const poll = new Poll(
    guest,
    { read: 9 },
    { write: 0 },
    { tag: 7 },
    { clock: 9, timeout: 1n },
    { clock: 3, timeout: 1n },
  );
  expect(poll.call().map(({ error, type }) => [error, type])).toEqual([
    [8, 1],
    [76, 2],
    [28, 7],
    [28, 0],
    [58, 0],
  ]);
});

test("counts and pointers are checked before anything waits", () => {
  const guest = new WasiCaller();
  const end = guest.bytes.length;
  expect(guest.call("poll_oneoff", 1024, 4096, 0, 0)).toBe("EINVAL");
  expect(guest.call("poll_oneoff", 1024, 4096, 8193, 0)).toBe("EINVAL");
  expect(guest.call("poll_oneoff", 1024, 4096, -1, 0)).toBe("EINVAL");
  expect(guest.call("poll_oneoff", end - 47, 4096, 1, 0)).toBe("EFAULT");
  expect(guest.call("poll_oneoff", 1024, end - 31, 1, 0)).toBe("EFAULT");
  expect(guest.call("poll_oneoff", 1024, 4096, 1, end - 3)).toBe("EFAULT");
});

test("a wait that was unwound goes on with the remaining time, on another host too", () => {
  const source = new WasiCaller();
  const poll = new Poll(
    source,
    { clock: MONOTONIC, timeout: 100n * MS },
    { clock: REALTIME, timeout: 80n * MS },
  );
  source.control.onWait = () => {
    source.clock.advance(30n * MS);
    source.control.asked = true;
  };
  expect(() => poll.call()).toThrow(Unwound);
  // A stop and start in the same process: the same call comes again, and is unwound again.
  source.control.asked = false;
  expect(() => poll.call()).toThrow(Unwound);
  const state = source.host.capture();
  expect(state.monotonicNs - (state.pollStartedNs ?? 0n)).toBe(60n * MS);

  const clock = new FakeClock(5n * MS, 1_700_000_100_000_000_000n);
  const destination = new WasiCaller({ restored: state, clock });
  destination.bytes.set(source.bytes);
  sleepThroughWaits(destination);
  const again = new Poll(
    destination,
    { clock: MONOTONIC, timeout: 100n * MS },
    { clock: REALTIME, timeout: 80n * MS },
  );
  expect(again.call().map((event) => event.userdata)).toEqual([101n]);
  expect(clock.monotonic).toBe(25n * MS);
  // The next wait is a new one.
  expect(destination.host.capture().pollStartedNs).toBe(undefined);
  new Poll(destination, { clock: MONOTONIC, timeout: 100n * MS }).call();
  expect(clock.monotonic).toBe(125n * MS);
});

test("the guest's monotonic time goes on across moves and never back", () => {
  let clock = new FakeClock(1_000_000n * MS);
  let guest = new WasiCaller({ clock });
  let last = 0n;
  for (const hostTime of [5n * MS, 9_000_000n * MS, 0n]) {
    clock.advance(10n * MS);
    const at = guest.alloc(8);
    guest.ok("clock_time_get", 1, 0n, at);
    const before = guest.u64(at);
    expect(before).toBeGreaterThan(last);
    clock = new FakeClock(hostTime);
    guest = new WasiCaller({ clock, restored: guest.host.capture() });
    guest.ok("clock_time_get", 1, 0n, at);
    last = guest.u64(at);
    expect(last).toBe(before);
  }
});
