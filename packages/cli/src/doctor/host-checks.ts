import { defaultCacheDirectory, isRewritten, validateProgram } from "@peregrine/node-host";
import { MigrationError } from "@peregrine/protocol";
import { formatSize, MigrationCapabilities } from "@peregrine/shared-state";
import { systemError } from "@peregrine/transport";
import { hasSystemCalls } from "@peregrine/transport/probe";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { openRegistry } from "../open-registry.ts";
import { describeVersion } from "../version.ts";
import { check, checked, failed } from "./check.ts";
import type { Check } from "./check.ts";

/** What koffi is needed for. */
const WITHOUT_KOFFI =
  "no locks of image files, no descriptors handed over by getfd, no huge pages, and one thread more work with --parallel";

/** What is on this host, whatever is to be migrated. */
export async function hostChecks(
  program: string | undefined,
  memory: number | undefined,
): Promise<readonly Check[]> {
  return [
    versions(),
    await libraries(),
    capabilities(),
    memoryCheck(memory),
    await checked("runtime", runtimeDirectory),
    await checked("cache", cacheDirectory),
    ...(program === undefined ? [] : [await checked("program", () => programCheck(program))]),
  ];
}

function versions(): Check {
  const { node, v8, openssl } = process.versions;
  const parts = [`Peregrine ${describeVersion()}`, `Node ${node}`, `V8 ${v8}`, `OpenSSL ${openssl}`];
  return check("versions", "ok", [...parts, `${process.platform} ${release()} ${process.arch}`].join(", "));
}

async function libraries(): Promise<Check> {
  return (await hasSystemCalls())
    ? check("libraries", "ok", "koffi is there")
    : check("libraries", "warning", `koffi cannot be loaded: ${WITHOUT_KOFFI}`);
}

function capabilities(): Check {
  const names = Object.keys(new MigrationCapabilities().states);
  return check("supports", "ok", `tcp:, unix:, ws:, wss:, file:, exec:, fd:; TLS 1.3; ${names.join(", ")}`);
}

function memoryCheck(wanted: number | undefined): Check {
  const available = process.availableMemory();
  const text = `${formatSize(available)} of memory can be used here`;
  if (wanted === undefined) return check("memory", "ok", text);
  if (wanted <= available) return check("memory", "ok", `${text}, and ${formatSize(wanted)} are wanted`);
  const error = new MigrationError("LIMIT_EXCEEDED", `${text}, and ${formatSize(wanted)} are wanted`);
  return failed("memory", error, "end something, or raise the limit of the control group");
}

async function runtimeDirectory(): Promise<Check> {
  const names = await (await openRegistry()).names();
  const guests = names.length === 1 ? "1 guest is" : `${names.length} guests are`;
  return check("runtime", "ok", `the directory of the monitors can be used; ${guests} registered`);
}

/** A cache that cannot be written is no error for a guest, which only starts later. */
async function cacheDirectory(): Promise<Check> {
  const directory = defaultCacheDirectory();
  const probe = join(directory, `.${randomUUID()}`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(probe, "");
    await rm(probe);
    return check("cache", "ok", `rewritten modules are kept in '${directory}'`);
  } catch (error) {
    const { message } = systemError("WRITE_FAILED", `'${directory}' cannot be written`, error);
    return check("cache", "warning", `${message}: every start rewrites its program; set XDG_CACHE_HOME`);
  }
}

async function programCheck(path: string): Promise<Check> {
  const module = await readFile(path).catch((error: unknown) => {
    throw systemError("NO_SUCH_FILE", `Could not open '${path}'`, error);
  });
  await validateProgram(module);
  return (await isRewritten(module))
    ? check("program", "ok", `'${path}' is in the cache, ready to be run`)
    : check("program", "note", `'${path}' is not in the cache: its first start takes longer`);
}
