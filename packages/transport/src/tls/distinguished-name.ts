import type { X509Certificate } from "node:crypto";

/**
 * The subject of a certificate as authorization objects name it: the attributes in the order of RFC 4514, which is the
 * reverse of that in the certificate, with commas between them. An empty subject is an empty text.
 */
export function distinguishedName({ subject }: X509Certificate): string {
  // Node has an attribute a line, and escapes what RFC 4514 wants escaped. It is undefined for an empty subject.
  return ((subject as string | undefined) ?? "").split("\n").reverse().join(",");
}

/** The names that a certificate is for, as people write them: `a.example, 10.0.0.1`; without any its common name. */
export function certificateNames({ subjectAltName, subject }: X509Certificate): readonly string[] {
  // What could be taken for more names is in quotation marks.
  const names = [...(subjectAltName ?? "").matchAll(/(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]+)/gu)];
  if (names.length > 0) return names.map(([, name]) => name!.trim());
  const commonName = /^CN=(.*)$/mu.exec((subject as string | undefined) ?? "")?.[1];
  return commonName === undefined ? [] : [commonName];
}
