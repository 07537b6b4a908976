export { transportCompliance } from "./compliance.ts";
export type { Ends, TransportFixture, TransportTraits } from "./fixture.ts";
export { listeningFixture } from "./listening-fixture.ts";
