export { DASHBOARD_LIMITS, DashboardServer } from "./dashboard-server.ts";
export type { DashboardOptions } from "./dashboard-server.ts";
export { parseDashboardAddress } from "./dashboard-address.ts";
export type { DashboardAddress } from "./dashboard-address.ts";
export { localLink } from "./guest-link.ts";
export type { FindGuests, GuestLink, KnownGuest } from "./guest-link.ts";
export { pageFiles } from "./page-files.ts";
export type { PageFiles } from "./page-files.ts";
