import { expect, test } from "vitest";
import { Source } from "./testing/source.ts";
import { TestReceiver } from "./testing/test-receiver.ts";

test("a running guest is sent completely", async () => {
  await using source = await Source.make();
  await using receiver = await TestReceiver.listen("tcp:127.0.0.1:0", { devices: source.machine.devices.descriptions() });
  source.migration.migrate(receiver.uri);
  expect(await source.ended()).toBe("completed");
  expect(await receiver.over).toBeUndefined();
  console.log(receiver.items, source.migration.query(), source.migration.downtimeBreakdown, JSON.stringify(receiver.description), source.statuses);
});
