import type { Authorization, AuthorizationRule, Policy } from "./credentials.ts";

/** Whether `identity` may connect. Errors: BAD_CREDENTIALS when the list cannot be read: then nobody may. */
export async function isAuthorized(authorization: Authorization, identity: string): Promise<boolean> {
  switch (authorization.kind) {
    case "simple":
      return identity === authorization.identity;
    case "list":
      return decide(authorization.rules, authorization.policy, identity);
    default: {
      const { path, contents } = authorization;
      const { parseList, readList } = await import("./authorization-list.ts");
      const { rules, policy } = parseList(contents ?? (await readList(path)), path);
      return decide(rules, policy, identity);
    }
  }
}

/** The first rule that matches decides. */
function decide(rules: readonly AuthorizationRule[], policy: Policy, identity: string): boolean {
  const rule = rules.find(({ match, format }) =>
    format === "exact" ? match === identity : matchesGlob(match, identity),
  );
  return (rule?.policy ?? policy) === "allow";
}

/**
 * `*` stands for any text and `?` for one character. Without backtracking over more than the last `*`: an identity
 * comes from outside.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const [wanted, found] = [Array.from(pattern), Array.from(text)];
  let [at, position] = [0, 0];
  let star = -1;
  let resume = 0;
  while (position < found.length) {
    const symbol = wanted[at];
    if (symbol === "*") {
      star = at++;
      resume = position;
    } else if (symbol === "?" || (symbol !== undefined && symbol === found[position])) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++resume;
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((symbol) => symbol === "*");
}
