import { RunControl } from "@peregrine/shared-state";
import { TestMachine } from "@peregrine/shared-state/testing";
import { OutgoingMigration } from "@peregrine/source-agent";
import { SecurityObjects } from "@peregrine/transport";
import { expect, test } from "vitest";
import { arrivalAt } from "./arrival-settings.ts";

const objects = new SecurityObjects();
const URI = "tcp:127.0.0.1:0";

/** What an agent sends with. */
function sending(creds: string): OutgoingMigration {
  const machine = TestMachine.destination();
  const outgoing = new OutgoingMigration({ machine, run: new RunControl(machine), objects });
  outgoing.setCapabilities({ multifd: true });
  outgoing.setParameters({ "multifd-channels": 7, "tls-creds": creds });
  return outgoing;
}

test("a destination awaits its source as its parameters say", () => {
  const settings = { channels: 3, intakeTls: undefined };
  expect(arrivalAt(URI, settings, sending(""), objects)).toEqual({ multifdChannels: 7, tls: undefined });
  expect(() => arrivalAt(URI, settings, sending("tls0"), objects)).toThrow("tls0");
});

test("a relay awaits its source as its own flags say, whatever it sends with", () => {
  const without = { channels: 3, intakeTls: { creds: undefined, authz: undefined } };
  expect(arrivalAt(URI, without, sending("tls0"), objects)).toEqual({ multifdChannels: 3, tls: undefined });
  const intakeTls = { creds: "tls1", authz: undefined };
  expect(() => arrivalAt(URI, { channels: 3, intakeTls }, sending(""), objects)).toThrow("tls1");
});
