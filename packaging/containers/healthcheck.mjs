// Asks the monitor of each agent of the runtime directory how its guest is. Ends with status 0 when there is an agent and
// all of them answer, and with 1 and a line about it otherwise. It needs Node and nothing else, so it starts quickly.
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

/** Milliseconds that an agent has for its answer. */
const PATIENCE_MS = 4000;

/** Bytes of an answer: what listens there is not known yet. */
const MOST_BYTES = 64 * 1024;

/** Run states in which a guest is of no use any more. */
const BROKEN = ["internal-error", "guest-panicked", "io-error"];

/** @returns {Promise<string>} the run state. */
function runStateOf(path) {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let text = "";
    const overdue = setTimeout(() => fail("does not answer"), PATIENCE_MS);
    const fail = (why) => {
      clearTimeout(overdue);
      socket.destroy();
      reject(new Error(why));
    };
    socket.setEncoding("utf8");
    socket.on("error", ({ code }) => fail(`cannot be asked: ${code}`));
    socket.on("close", () => fail("has closed the connection"));
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.length > MOST_BYTES) fail("answers too much");
      const status = /"status": *"(?<status>[a-z-]+)"/u.exec(text)?.groups?.status;
      if (status === undefined) return;
      clearTimeout(overdue);
      resolve(status);
      socket.destroy();
    });
    socket.write('{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n');
  });
}

async function check() {
  const directory = process.env.PEREGRINE_RUNTIME_DIR ?? "/run/peregrine";
  const sockets = readdirSync(directory).filter((name) => name.endsWith(".sock"));
  if (sockets.length === 0) throw new Error(`no agent listens in ${directory}`);
  for (const name of sockets) {
    const guest = name.slice(0, -".sock".length);
    const status = await runStateOf(join(directory, name)).catch((error) => {
      throw new Error(`the agent of '${guest}' ${error.message}`);
    });
    if (BROKEN.includes(status)) throw new Error(`the guest '${guest}' is in run state '${status}'`);
    process.stdout.write(`${guest}: ${status}\n`);
  }
}

try {
  await check();
} catch (error) {
  process.stdout.write(`unhealthy: ${error.message}\n`);
  process.exitCode = 1;
}
