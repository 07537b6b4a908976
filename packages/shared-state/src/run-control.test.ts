import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { globalStateDevice } from "./global-state-device.ts";
import { RunControl } from "./run-control.ts";
import type { RunControlOptions, RunEvent } from "./run-control.ts";
import { RUN_STATE_TRANSITIONS } from "./run-state.ts";
import type { RunState } from "./run-state.ts";
import { TestMachine } from "./testing/test-machine.ts";

interface Bench {
  readonly machine: TestMachine;
  readonly run: RunControl;
  /** Names of the events so far. */
  readonly events: string[];
}

function bench(options: RunControlOptions = {}): Bench {
  const machine = TestMachine.source();
  const run = new RunControl(machine, options);
  const events: string[] = [];
  run.subscribe((event) => events.push(event.name));
  return { machine, run, events };
}

async function running(): Promise<Bench> {
  const started = bench();
  await started.run.cont();
  started.events.length = 0;
  return started;
}

/** The buffer of a globalstate section. */
const text = (value: string): Uint8Array => {
  const bytes = new Uint8Array(100);
  new TextEncoder().encodeInto(value, bytes);
  return bytes;
};

const wrongState = (message: string): object => ({ code: "WRONG_STATE", message });

describe("run control", () => {
  it("starts, stops and continues the guest", async () => {
    const { machine, run, events } = bench();
    expect(run.state).toBe("prelaunch");
    await run.cont();
    expect([run.state, machine.running]).toEqual(["running", true]);
    await run.cont();
    await run.stop("paused");
    expect([run.state, machine.running]).toEqual(["paused", false]);
    await run.stop("paused");
    await run.cont();
    expect([run.state, machine.running]).toEqual(["running", true]);
    expect(events).toEqual(["RESUME", "STOP", "RESUME"]);
  });

  it("does nothing when a guest is stopped that was never started", async () => {
    const { run, events } = bench();
    await run.stop("paused");
    expect(run.state).toBe("prelaunch");
    expect(events).toEqual([]);
  });

  it("ends a subscription", async () => {
    const { run } = bench();
    const seen: RunEvent[] = [];
    run.subscribe((event) => seen.push(event))();
    await run.cont();
    expect(seen).toEqual([]);
  });

  it("carries out overlapping calls one after the other", async () => {
    const { machine, run, events } = bench();
    const order: string[] = [];
    machine.start = async () => {
      order.push("start");
      await Promise.resolve();
      order.push("started");
    };
    machine.stop = async () => {
      order.push("stop");
      await Promise.resolve();
      order.push("stopped");
    };
    await Promise.all([run.cont(), run.stop("paused"), run.cont(), run.stop("finish-migrate")]);
    expect(order.join(" ")).toBe("start started stop stopped start started stop stopped");
    expect(run.state).toBe("finish-migrate");
    expect(events).toEqual(["RESUME", "STOP", "RESUME", "STOP"]);
  });

  it("goes on after a call that failed, with the run state as it was", async () => {
    const { machine, run } = await running();
    const working = machine.stop.bind(machine);
    machine.stop = () => Promise.reject(new Error("stuck"));
    const failed = run.stop("paused");
    const refused = run.stop("finish-migrate");
    await expect(failed).rejects.toThrow("stuck");
    await expect(refused).rejects.toThrow("stuck");
    expect(run.state).toBe("running");
    machine.stop = working;
    await run.stop("paused");
    expect(run.state).toBe("paused");
  });
});

describe("run control in a migration", () => {
  it("refuses `cont` while the guest is being sent, and allows it in postmigrate", async () => {
    const { machine, run, events } = await running();
    await run.stop("finish-migrate");
    expect([run.state, run.migratedState, machine.running]).toEqual(["finish-migrate", "running", false]);
    await expect(run.cont()).rejects.toMatchObject(wrongState("Migration is not finalized yet"));
    run.set("postmigrate");
    expect(run.migratedState).toBeUndefined();
    await run.cont();
    expect([run.state, machine.running]).toEqual(["running", true]);
    expect(events).toEqual(["STOP", "RESUME"]);
  });

  it("refuses `cont` in postmigrate once the destination took over", async () => {
    const { machine, run } = await running();
    await run.stop("finish-migrate");
    run.set("postmigrate");
    run.handedOver = true;
    await expect(run.cont()).rejects.toMatchObject({ code: "WRONG_STATE" });
    expect([run.state, machine.running]).toEqual(["postmigrate", false]);
    await expect(run.stop("finish-migrate")).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  it("restores what was before a migration that failed", async () => {
    for (const before of ["running", "paused", "prelaunch"] as const) {
      const { machine, run } = before === "prelaunch" ? bench() : await running();
      if (before === "paused") await run.stop("paused");
      await run.stop("finish-migrate");
      expect([run.state, run.migratedState]).toEqual(["finish-migrate", before]);
      await run.restore();
      expect([run.state, machine.running]).toEqual([before, before === "running"]);
      await run.restore();
      expect(run.state).toBe(before);
    }
  });

  it("has no STOP for a guest that did not run", async () => {
    const { run, events } = bench();
    await run.stop("finish-migrate");
    await run.restore();
    expect(events).toEqual([]);
  });
});

describe("run control of a guest that arrives", () => {
  it("starts it or leaves it paused, as the source's state and autostart say", async () => {
    const cases = [
      { received: undefined, autostart: true, expected: "running" },
      { received: "running", autostart: true, expected: "running" },
      { received: "running", autostart: false, expected: "paused" },
      { received: undefined, autostart: false, expected: "paused" },
      { received: "paused", autostart: true, expected: "paused" },
      { received: "prelaunch", autostart: true, expected: "prelaunch" },
    ] as const;
    for (const { received, autostart, expected } of cases) {
      const { machine, run } = bench({ initial: "inmigrate", autostart });
      run.received = received;
      await run.arrive();
      expect([run.state, machine.running]).toEqual([expected, expected === "running"]);
      await expect(run.arrive()).rejects.toMatchObject({ code: "WRONG_STATE" });
    }
  });

  it("takes `cont` and `stop` before it has arrived for a change of autostart", async () => {
    const { run, machine } = bench({ initial: "inmigrate", autostart: false });
    await run.cont();
    expect([run.state, run.autostart, machine.running]).toEqual(["inmigrate", true, false]);
    await run.stop("paused");
    expect(run.autostart).toBe(false);
    await run.cont();
    await run.arrive();
    expect(run.state).toBe("running");
  });

  it("lets one arrive that was sent on meanwhile", async () => {
    const { run, machine } = bench({ initial: "inmigrate" });
    run.set("postmigrate");
    await run.arrive();
    expect([run.state, machine.running]).toEqual(["postmigrate", false]);
  });

  it("cannot be sent before it has arrived", async () => {
    const { run } = bench({ initial: "inmigrate" });
    await expect(run.stop("finish-migrate")).rejects.toMatchObject({ code: "WRONG_STATE" });
  });
});

describe("run control of a guest that ends", () => {
  it("shuts down when the program exits, and says so", async () => {
    const { machine, run } = await running();
    const seen: RunEvent[] = [];
    run.subscribe((event) => seen.push(event));
    machine.finish({ kind: "exit", status: 4 });
    await machine.exited;
    expect(run.state).toBe("shutdown");
    expect(run.exit).toEqual({ kind: "exit", status: 4 });
    expect(seen).toEqual([{ name: "SHUTDOWN", data: { guest: true, reason: "guest-shutdown" } }]);
    await expect(run.cont()).rejects.toMatchObject(wrongState("The guest program has ended"));
    await expect(run.stop("finish-migrate")).rejects.toMatchObject(wrongState("The guest program has ended"));
    await run.stop("paused");
    expect(run.state).toBe("shutdown");
  });

  it("names a trap as a panic", async () => {
    const { machine, run } = await running();
    const seen: RunEvent[] = [];
    run.subscribe((event) => seen.push(event));
    machine.finish({ kind: "trap", message: "unreachable" });
    await machine.exited;
    expect(seen).toEqual([{ name: "SHUTDOWN", data: { guest: true, reason: "guest-panic" } }]);
  });

  it("does not take a guest for stopped that ended while it was being stopped", async () => {
    const { machine, run } = await running();
    machine.stop = async () => {
      machine.finish();
      await machine.exited;
    };
    await expect(run.stop("finish-migrate")).rejects.toMatchObject(wrongState("The guest program has ended"));
    expect(run.state).toBe("shutdown");
  });
});

describe("the table of run states", () => {
  const states = Object.keys(RUN_STATE_TRANSITIONS) as RunState[];
  const targets = states.filter((state) => state !== "running");

  it("is what `set` allows, except that a running guest has to be stopped", async () => {
    const step = fc.constantFrom(...targets);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 12 }), async (incoming, steps) => {
        const { run } = bench({ initial: incoming ? "inmigrate" : "prelaunch" });
        let model: RunState = run.state;
        for (const to of steps) {
          if (RUN_STATE_TRANSITIONS[model].includes(to)) {
            run.set(to);
            model = to;
          } else {
            expect(() => {
              run.set(to);
            }).toThrow(expect.objectContaining({ code: "WRONG_STATE" }));
          }
          expect(run.state).toBe(model);
        }
      }),
    );
    const { run } = await running();
    expect(() => {
      run.set("paused");
    }).toThrow(expect.objectContaining({ code: "WRONG_STATE" }));
    run.set("internal-error");
    expect(run.state).toBe("internal-error");
  });
});

describe("the globalstate device", () => {
  it("saves the run state that the guest had before finish-migrate", async () => {
    const { run, machine } = await running();
    machine.devices.register(globalStateDevice(run));
    await run.stop("finish-migrate");
    const saved = (await machine.devices.saveAll("late")).find(({ name }) => name === "globalstate")!;
    expect(saved).toMatchObject({ instance: 0, version: 1 });
    const expected = `00000008${Buffer.from("running").toString("hex")}`.padEnd(208, "0");
    expect(Buffer.from(saved.payload).toString("hex")).toBe(expected);
  });

  it("cannot save a run state that does not travel", async () => {
    const { run, machine } = bench({ initial: "inmigrate" });
    machine.devices.register(globalStateDevice(run));
    await expect(machine.devices.saveAll("late")).rejects.toMatchObject({ code: "DEVICE_STATE" });
  });

  it("keeps the state that it loads", async () => {
    for (const state of ["running", "paused", "prelaunch"] as const) {
      const { run, machine } = bench({ initial: "inmigrate" });
      machine.devices.register(globalStateDevice(run));
      await machine.devices.load("globalstate", 0, { size: state.length + 1, runstate: text(state) });
      expect(run.received).toBe(state);
      expect(run.state).toBe("inmigrate");
    }
  });

  it("refuses anything else", async () => {
    const { run, machine } = bench({ initial: "inmigrate" });
    machine.devices.register(globalStateDevice(run));
    for (const wrong of [
      { size: 8, runstate: text("runnin") },
      { size: 1, runstate: text("") },
      { size: 101, runstate: text("running") },
      { size: 15, runstate: text("finish-migrate") },
      { size: 100, runstate: new Uint8Array(100).fill(0x61) },
      { size: 100, runstate: new Uint8Array(100).fill(0xff) },
    ]) {
      await expect(machine.devices.load("globalstate", 0, wrong)).rejects.toMatchObject({
        code: "DEVICE_STATE",
      });
    }
    expect(run.received).toBeUndefined();
  });
});
