import { sayError } from "../commands/say.ts";
import { GuestHooks } from "./guest-hooks.ts";
import type { HookOptions } from "./guest-hooks.ts";

/** The commands of a guest; one that fails is told of in a line. */
export function openHooks(name: string, options: HookOptions): GuestHooks {
  return new GuestHooks({ ...options, name, failed: sayError });
}
