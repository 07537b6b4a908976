export { transportCompliance } from "./compliance.ts";
export { listeningFixture } from "./listening-fixture.ts";
