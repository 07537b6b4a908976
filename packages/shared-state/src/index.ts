export type { AnnounceRequest, AnnounceSchedule } from "./announce-request.ts";
export { MigrationCapabilities } from "./capabilities.ts";
export type { CapabilityChange, CapabilityName, CapabilityState, CapabilityStates } from "./capabilities.ts";
export type {
  BuildRam,
  CarriedClosing,
  CarriedMachine,
  CarriedOpening,
  MachineIntake,
  OpaqueSection,
  RamBuilder,
  StreamEnding,
} from "./carried-machine.ts";
export { decoderFor, DeviceRegistry } from "./device-registry.ts";
export type { Device, DeviceListing, DevicePhase, SavedDevice } from "./device-registry.ts";
export { bitsIn, DirtyBitmap } from "./dirty-bitmap.ts";
export { CHUNK_SIZE } from "./drive.ts";
export type {
  Drive,
  DriveAccess,
  IncomingDrives,
  MachineDrives,
  OpenIncomingDrives,
  OpenOutgoingDrives,
  OutgoingDrives,
} from "./drive.ts";
export { globalStateDevice } from "./global-state-device.ts";
export { advise } from "./hand-over/advice.ts";
export type { Advice, GiverKnowledge, TakerKnowledge } from "./hand-over/advice.ts";
export { GIVER_OFFERS, giverIsInDoubt, stepGiver } from "./hand-over/giver.ts";
export type { Giver, GiverEffect, GiverEvent } from "./hand-over/giver.ts";
export { NO_LEDGER } from "./hand-over/ownership-record.ts";
export type { OwnershipLedger, OwnershipRecord, RecordedOwnership } from "./hand-over/ownership-record.ts";
export { PASSER_LOADING, stepPasser } from "./hand-over/passer.ts";
export type { Passer, PasserEffect, PasserEvent } from "./hand-over/passer.ts";
export { RecordedSide } from "./hand-over/recorded-side.ts";
export { stepTaker, TAKER_LOADING, takerIsInDoubt } from "./hand-over/taker.ts";
export type { Taker, TakerEffect, TakerEvent } from "./hand-over/taker.ts";
export type { IncomingInfo, SocketAddress } from "./incoming-info.ts";
export { Listeners } from "./listeners.ts";
export { PAGE_SIZE } from "./machine.ts";
export type { GuestExit, GuestRam, Machine, OpenRam, PagesInPlace, RamAccess, RamBlock } from "./machine.ts";
export type { MigrateRequest } from "./migrate-request.ts";
export { migrationInfo } from "./migration-info.ts";
export type {
  ActiveInfo,
  CompletedInfo,
  MigrationInfo,
  MigrationInfoInput,
  ProgressInfo,
  RamInfo,
  XbzrleInfo,
} from "./migration-info.ts";
export { isUnderWay, MIGRATION_TRANSITIONS, MigrationState } from "./migration-state.ts";
export type { MigrationStatus, MigrationStatusListener } from "./migration-state.ts";
export { MigrationStatistics } from "./migration-statistics.ts";
export { CELL_BYTES, PageMap, pictureOf } from "./page-map.ts";
export type { MemoryPicture, PageMapAccess } from "./page-map.ts";
export { MigrationParameters } from "./parameters.ts";
export type { ParameterName, ParameterValues } from "./parameters.ts";
export { KEPT_PASSES, PassLog } from "./pass-log.ts";
export type { PassRecord } from "./pass-log.ts";
export { adviceText } from "./progress/advice.ts";
export type { ConvergenceAdvice } from "./progress/advice.ts";
export { advanceIncoming } from "./progress/incoming-snapshot.ts";
export type { IncomingSample, IncomingSnapshot, IncomingState } from "./progress/incoming-snapshot.ts";
export { sampleOutgoing } from "./progress/outgoing-sample.ts";
export type { OutgoingSample, OutgoingSampleInput, OutgoingState } from "./progress/outgoing-sample.ts";
export { advanceOutgoing } from "./progress/outgoing-snapshot.ts";
export type { OutgoingSnapshot } from "./progress/outgoing-snapshot.ts";
export { formatEstimate, formatRate, formatSize, formatTime } from "./progress/units.ts";
export type { Verdict } from "./progress/verdict.ts";
export { verdictText } from "./progress/verdict-text.ts";
export { RunControl } from "./run-control.ts";
export type { GuestShutdownReason, RunControlOptions, RunEvent, RunEventListener } from "./run-control.ts";
export { isMigratable, RUN_STATE_TRANSITIONS } from "./run-state.ts";
export type { MigratableRunState, RunState } from "./run-state.ts";
export { StateDecoder } from "./state-decode.ts";
export { defineState } from "./state-description.ts";
export type {
  ArrayField,
  BufferField,
  Count,
  Field,
  FieldValue,
  ScalarField,
  ScalarType,
  ScalarValue,
  StateDescription,
  StateOf,
  StateValue,
  StructField,
} from "./state-description.ts";
export { describeState, encodeState } from "./state-encode.ts";
