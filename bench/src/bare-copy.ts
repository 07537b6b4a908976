import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Content, Copy } from "./content.ts";
import { processorSeconds } from "./process-cost.ts";
import { warmMemory } from "./warm-memory.ts";

const PROGRAM = fileURLToPath(new URL("socket-copy.ts", import.meta.url));

/**
 * Copies the content over a unix socket between two processes that only write and read: what the host's kernel needs for the
 * bytes of a move, whoever moves them.
 */
export async function copyOverBareSocket(
  content: Content,
  directory: string,
): Promise<Pick<Copy, "seconds" | "processorSeconds">> {
  const path = join(directory, randomUUID());
  const mib = String(content.mib);
  await using receiver = new CopyProcess(["receive", path, mib]);
  await receiver.line();
  await using sender = new CopyProcess(["send", path, mib, content.path]);
  await sender.line();
  await warmMemory(content.mib);
  const cost = (): number => processorSeconds(sender.pid) + processorSeconds(receiver.pid);
  const before = cost();
  sender.goOn();
  const seconds = Number(await sender.line());
  return { seconds, processorSeconds: cost() - before };
}

class CopyProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error("the program that only copies has ended");
    return value;
  }

  goOn(): void {
    this.#child.stdin!.write("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill();
    await exited;
  }
}
