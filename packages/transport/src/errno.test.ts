import { MigrationError } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { describeSystemError, systemError } from "./errno.ts";

function failedCall(code: string, errno?: number): Error {
  return Object.assign(new Error(`call ${code}`), { code, ...(errno === undefined ? {} : { errno }) });
}

describe("the text of a system error", () => {
  test.each([
    ["ECONNREFUSED", -111, "Connection refused"],
    ["ECONNRESET", -104, "Connection reset by peer"],
    ["EPIPE", -32, "Broken pipe"],
    ["ENOENT", -2, "No such file or directory"],
    ["EACCES", -13, "Permission denied"],
    ["EADDRINUSE", -98, "Address already in use"],
    ["EADDRNOTAVAIL", -99, "Cannot assign requested address"],
    ["ETIMEDOUT", -110, "Connection timed out"],
    ["EHOSTUNREACH", -113, "No route to host"],
    ["ENETUNREACH", -101, "Network is unreachable"],
    ["ENOTFOUND", -3008, "Name or service not known"],
  ])("%s", (code, errno, text) => {
    expect(describeSystemError(failedCall(code, errno))).toBe(text);
    expect(describeSystemError(failedCall(code))).toBe(text);
  });

  test("falls back to what the error says itself", () => {
    expect(describeSystemError(new Error("something else"))).toBe("Something else");
    expect(describeSystemError(failedCall("EUNHEARDOF"))).toBe("Call EUNHEARDOF");
    expect(describeSystemError("a string")).toBe("a string");
  });

  test("becomes a MigrationError that keeps its cause", () => {
    const cause = failedCall("EPIPE", -32);
    const error = systemError("CHANNEL_FAILED", "Connection to 'x' failed", cause);
    expect(error).toMatchObject({ code: "CHANNEL_FAILED", message: "Connection to 'x' failed: Broken pipe" });
    expect(error.cause).toBe(cause);
    const known = new MigrationError("CANCELLED", "cancelled");
    expect(systemError("CHANNEL_FAILED", "text", known)).toBe(known);
  });
});
