import { parseUri } from "@peregrine/transport";
import type { SecurityObjects } from "@peregrine/transport";
import { absoluteUri } from "../absolute-uri.ts";
import type { DoctorOptions } from "../doctor-options.ts";
import { check, failed } from "../doctor/check.ts";
import type { Check } from "../doctor/check.ts";
import { credentialChecks, ownCertificateChecks } from "../doctor/credential-checks.ts";
import { hostChecks } from "../doctor/host-checks.ts";
import { incomingChecks } from "../doctor/incoming-checks.ts";
import { outgoingChecks } from "../doctor/outgoing-checks.ts";

/** `peregrine doctor`: a line for each thing that was looked at. @returns 0 when nothing has failed. */
export async function doctorCommand(options: DoctorOptions): Promise<number> {
  const checks = [...(await hostChecks(options.program, options.memory))];
  const made = await credentialChecks(options.objects);
  checks.push(...made.checks);
  if (options.uri !== undefined) checks.push(...(await addressChecks(options, options.uri, made)));
  const ok = checks.every(({ status }) => status !== "failed");
  process.stdout.write(options.json ? `${JSON.stringify({ ok, checks }, undefined, 2)}\n` : text(checks));
  return ok ? 0 : 1;
}

interface Made {
  readonly objects: SecurityObjects;
  readonly checks: readonly Check[];
}

async function addressChecks(options: DoctorOptions, given: string, made: Made): Promise<readonly Check[]> {
  const { incoming, connects, memory, tls: names } = options;
  // What the migration would have is not there, and another one would say nothing about it.
  if (made.checks.some(({ status }) => status === "failed")) {
    return [check("reach", "note", "left out: it would need the objects above")];
  }
  const parameters = {
    "tls-creds": names.creds ?? "",
    "tls-hostname": names.hostname ?? "",
    "tls-authz": names.authz ?? "",
  };
  try {
    const uri = incoming ? given : absoluteUri(given);
    const address = parseUri(uri, incoming ? "incoming" : "outgoing");
    const unused = unusedObjects(options);
    if (incoming) {
      const tls = made.objects.server(parameters, address);
      const own = tls === undefined ? [] : ownCertificateChecks(tls);
      return [...unused, ...own, ...(await incomingChecks(uri, tls))];
    }
    const tls = made.objects.client(parameters, address);
    const own = tls === undefined ? [] : ownCertificateChecks(tls);
    return [...unused, ...own, ...(await outgoingChecks({ uri, tls, memory, connects }))];
  } catch (error) {
    return [failed("address", error)];
  }
}

function unusedObjects({ objects, tls }: DoctorOptions): readonly Check[] {
  if (objects.length === 0 || tls.creds !== undefined) return [];
  return [check("tls", "warning", "there are objects, and --tls-creds names none of them: there is no TLS")];
}

/** A line for each, the worst ones easy to see. */
function text(checks: readonly Check[]): string {
  const width = Math.max(...checks.map((one) => one.check.length));
  const lines = checks.map(({ check: name, status, code, text: what }) => {
    const said = code === undefined ? what : `${code}: ${what}`;
    return `${status.padEnd(7)}  ${name.padEnd(width)}  ${said}\n`;
  });
  return lines.join("");
}
