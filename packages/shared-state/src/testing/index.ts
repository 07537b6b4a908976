export { machineCompliance } from "./machine-compliance.ts";
export type { MachineFixture, SuiteApi } from "./machine-compliance.ts";
export type { TestBlock } from "./test-devices.ts";
export { TestGuest } from "./test-guest.ts";
export { intervalTicker, TestMachine } from "./test-machine.ts";
export type { TestMachineOptions, Ticker } from "./test-machine.ts";
export { openRam, TestRam } from "./test-ram.ts";
export type { TestRamData } from "./test-ram.ts";
export { openMachineRam } from "./ram-tools.ts";
