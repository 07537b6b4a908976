import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { guest } from "./peregrine-process.ts";
import type { Peregrine } from "./peregrine-process.ts";

/** Moves a guest from one process to another, and listens between them. @returns the stream. */
export async function recordMigration(peregrine: Peregrine): Promise<Buffer> {
  const path = (name: string): string => join(peregrine.directory, name);
  await peregrine.receive(`unix:${path("to")}`, "b");
  const source = peregrine.start("run", guest("console"), "--name", "a");
  source.write("12\n");
  await source.printed("stdout", /sum=12> $/u);
  const sent: Buffer[] = [];
  const between = createServer({ allowHalfOpen: true }, (from) => {
    const to = connect({ path: path("to"), allowHalfOpen: true });
    from.on("data", (chunk: Buffer) => sent.push(chunk));
    from.pipe(to);
    to.pipe(from);
  }).listen(path("between"));
  await once(between, "listening");
  const { status, stderr } = await peregrine.run("migrate", "a", `unix:${path("between")}`);
  between.close();
  if (status !== 0) throw new Error(`the guest was not moved: ${stderr}`);
  return Buffer.concat(sent);
}
