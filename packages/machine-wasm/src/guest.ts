/**
 * What a guest thread needs, and no more: each thread loads its own modules, and a guest has its thread for all its life. So
 * nothing of this may import a package as a whole.
 */
export { GuestProgram } from "./guest-program.ts";
export type { GuestHost } from "./guest-program.ts";
export type { GuestCommand, GuestReport, GuestThreadData } from "./guest-messages.ts";
export { DriveFiles } from "./wasi/drive-files.ts";
export { errnoName, HostError } from "./wasi/errno.ts";
