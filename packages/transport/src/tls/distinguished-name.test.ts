import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { TestAuthority } from "../testing/certificates.ts";
import { certificateNames, distinguishedName, issuerName } from "./distinguished-name.ts";

test.each([
  ["CN=a", "CN=a"],
  ["C=GB,O=Example Home,CN=a b", "C=GB,O=Example Home,CN=a b"],
  // As QEMU 7.2 and 10.0 name it.
  [String.raw`C=GB,O=Example\, Home,CN=a \+ b`, String.raw`C=GB,O=Example\, Home,CN=a \+ b`],
])("the subject %s is named %s", async (subject, name) => {
  const authority = await TestAuthority.create();
  const { certificate } = await authority.issue("", { subject });
  expect(distinguishedName(new X509Certificate(certificate))).toBe(name);
  expect(issuerName(new X509Certificate(certificate))).toBe("CN=test authority");
});

test("the names of a certificate are those of hosts and addresses, or the common name", async () => {
  const authority = await TestAuthority.create();
  const namesOf = async (
    names: readonly { type: "dns" | "ip"; value: string }[],
  ): Promise<readonly string[]> => {
    const { certificate } = await authority.issue("common", { names: [...names] });
    return certificateNames(new X509Certificate(certificate));
  };
  expect(
    await namesOf([
      { type: "dns", value: "a.example" },
      { type: "ip", value: "10.0.0.1" },
      { type: "ip", value: "2001:db8::1" },
    ]),
  ).toEqual(["a.example", "10.0.0.1", "2001:DB8:0:0:0:0:0:1"]);
  expect(await namesOf([])).toEqual(["common"]);
});
