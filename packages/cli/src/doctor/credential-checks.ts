import type { ObjectProperties } from "@peregrine/transport";
import { SecurityObjects } from "@peregrine/transport";
import { ownCertificate } from "@peregrine/transport/probe";
import type { CertificateSummary } from "@peregrine/transport/probe";
import { check, failed } from "./check.ts";
import type { Check } from "./check.ts";

/** A certificate that ends sooner is told of. */
const SOON_MS = 14 * 24 * 60 * 60 * 1000;

/** Makes the objects, as far as they can be made, and tells of each. */
export async function credentialChecks(
  all: readonly ObjectProperties[],
): Promise<{ readonly objects: SecurityObjects; readonly checks: readonly Check[] }> {
  const objects = new SecurityObjects();
  const checks: Check[] = [];
  for (const properties of all) {
    const { id } = properties;
    const name = typeof id === "string" ? `object ${id}` : "object";
    try {
      await objects.add(properties);
      checks.push(check(name, "ok", `${String(properties["qom-type"])} can be used`));
    } catch (error) {
      checks.push(failed(name, error));
    }
  }
  return { objects, checks };
}

/** What is known of the certificate that this side shows. */
export function ownCertificateChecks(tls: Parameters<typeof ownCertificate>[0]): readonly Check[] {
  const { credentials } = tls;
  if (credentials.kind === "psk") {
    const names = [...credentials.keys.keys()].map((name) => `'${name}'`).join(", ");
    return [check("own key", "ok", `${names} in keys.psk of '${credentials.directory}'`)];
  }
  const own = ownCertificate(tls);
  if (own === undefined) {
    const text =
      "this side has no certificate: a destination with verify-peer=on, which is the default, refuses it";
    return [check("own cert", "warning", text)];
  }
  const checks = [validity("own cert", own)];
  if (!own.issuedByAuthority) {
    const text = `its issuer ${own.issuer} is not in ${credentials.trust}: the other side has to know that authority`;
    checks.push(check("own cert", "warning", text));
  }
  return checks;
}

/** Who has a certificate, for what, and until when. */
export function validity(name: string, { subject, names, issuer, validTo }: CertificateSummary): Check {
  const hosts = names.length === 0 ? "no host" : names.join(", ");
  const text = `${subject || "without a name"}, for ${hosts}, from ${issuer}, valid until ${validTo.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const isShort = validTo.getTime() - Date.now() < SOON_MS;
  return isShort ? check(name, "warning", `${text}: renew it soon`) : check(name, "ok", text);
}
