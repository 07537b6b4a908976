export { transportCompliance } from "./compliance.ts";
export type { TransportFixture } from "./compliance.ts";
