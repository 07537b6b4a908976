import type { X509Certificate } from "node:crypto";

/**
 * The subject of a certificate as authorization objects name it, and QEMU does: the attributes in their order in the
 * certificate, with commas between them, and escaped as in RFC 4514. An empty subject is an empty text.
 */
export function distinguishedName({ subject }: X509Certificate): string {
  return nameText(subject);
}

/** The same of the issuer. */
export function issuerName({ issuer }: X509Certificate): string {
  return nameText(issuer);
}

/** Node has an attribute a line, and plus signs with spaces between those that belong together. */
function nameText(lines: string | undefined): string {
  return (lines ?? "").replaceAll("\n", ",").replaceAll(" + ", "+");
}

/** The names that a certificate is for, as people write them: `a.example, 10.0.0.1`; without any its common name. */
export function certificateNames({ subjectAltName, subject }: X509Certificate): readonly string[] {
  // What could be taken for more names is in quotation marks.
  const names = [...(subjectAltName ?? "").matchAll(/(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]+)/gu)];
  if (names.length > 0) return names.map(([, name]) => name!.trim());
  const commonName = /^CN=(.*)$/mu.exec(subject ?? "")?.[1];
  return commonName === undefined ? [] : [commonName];
}
