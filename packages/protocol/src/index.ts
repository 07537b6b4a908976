export { BlockDecoder } from "./block-decoder.ts";
export type { BlockSink } from "./block-decoder.ts";
export {
  encodeBlockChunk,
  encodeBlockChunkHead,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "./block-encoder.ts";
export { BLOCK_CHUNK_BYTES, BLOCK_SECTION, BLOCK_SECTOR_BYTES } from "./block-wire.ts";
export { ByteReader } from "./byte-reader.ts";
export { ByteWriter } from "./byte-writer.ts";
export { commandCode, encodeCommand } from "./command-encode.ts";
export { cutDevices } from "./device-cut.ts";
export type { DeviceCut } from "./device-cut.ts";
export { deviceBytes, walkDevice } from "./device-layout.ts";
export type { DeviceField } from "./device-layout.ts";
export type { CutBy } from "./device-tail.ts";
export { deviceValue } from "./device-value.ts";
export type { DeviceValue } from "./device-value.ts";
export { DirtyBitmapDecoder } from "./dirty-bitmap-decoder.ts";
export { DirtyBitmapEncoder } from "./dirty-bitmap-encoder.ts";
export { DIRTY_BITMAP_SECTION } from "./dirty-bitmap-wire.ts";
export type { DirtyBitmapName, DirtyBitmapRecord } from "./dirty-bitmap-wire.ts";
export {
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  encodeVmDescriptionText,
} from "./encode.ts";
export { ERROR_ADVICE } from "./error-advice.ts";
export type { ErrorAdvice } from "./error-advice.ts";
export { ERROR_CODES, MigrationError } from "./errors.ts";
export type { ErrorCode, MigrationErrorDetail, SerializedError } from "./errors.ts";
export { decodeGlobalState, encodeGlobalState, GLOBAL_STATE_BYTES } from "./global-state.ts";
export { kernelModule } from "./kernels/kernel-module.ts";
export { openPageKernel, preparePageKernels } from "./kernels/open-page-kernel.ts";
export {
  HEAD_BYTES,
  MAX_KERNEL_RUN,
  MAX_ZERO_RUN,
  PLACE_BYTES,
  putPlace,
  runOffset,
  WORD_BYTES,
} from "./kernels/page-kernel.ts";
export type {
  GuestPages,
  KeptPages,
  PageAddresses,
  PageHeads,
  PageKernel,
  PageSource,
  PlaceCursor,
} from "./kernels/page-kernel.ts";
export { TypeScriptPageKernel } from "./kernels/typescript-kernel.ts";
export { hasWasmKernels, WasmPageKernel, workMemoryOf } from "./kernels/wasm-kernel.ts";
export { PAGE_RECORD_BYTES, runBytes, workMemoryBytes, ZERO_RECORD_BYTES } from "./kernels/work-memory.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { Limits } from "./limits.ts";
export {
  hasMappedPage,
  isMapped,
  MAPPED_RAM_HEADER_BYTES,
  mappedBitmapBytes,
  placeMappedBlock,
  setMappedPage,
} from "./mapped-ram.ts";
export type { MappedRamHeader, MappedRamPlacement } from "./mapped-ram.ts";
export { readMappedBlock } from "./mapped-ram-reader.ts";
export type { MappedPageSink, PositionedRead } from "./mapped-ram-reader.ts";
export { agreedTo, agreeTo, ALL_EXTENSIONS, askedFor, askFor, both, NO_EXTENSIONS } from "./extensions.ts";
export type { Extensions } from "./extensions.ts";
export type {
  Command,
  Configuration,
  HandOverStep,
  MigrationId,
  PostcopyPageSizes,
  RamBlockEntry,
  RamRange,
  ReturnMessage,
  SectionHeader,
  SectionKind,
} from "./messages.ts";
export { MultifdChannelDecoder } from "./multifd-channel.ts";
export type {
  AwaitedPages,
  MultifdChannelOptions,
  MultifdSink,
  StreamDecompressor,
} from "./multifd-channel.ts";
export { MultifdChannelEncoder } from "./multifd-encoder.ts";
export type { MultifdChannelEncoderOptions, MultifdPacket, StreamCompressor } from "./multifd-encoder.ts";
export {
  encodeMultifdDeviceState,
  encodeMultifdInit,
  encodeMultifdPages,
  MULTIFD_HEADER_BYTES,
  MULTIFD_INIT_BYTES,
  MULTIFD_MAGIC,
  MULTIFD_OFFSETS_AT,
  MULTIFD_PACKET_PAGES,
} from "./multifd-packet.ts";
export type {
  MultifdCompression,
  MultifdDeviceState,
  MultifdHeader,
  MultifdInit,
  MultifdLayout,
  MultifdPages,
} from "./multifd-packet.ts";
export { OFFSET_COUNTER_BYTES } from "./offset-counter.ts";
export { countPages } from "./page-run.ts";
export type { PageRun } from "./page-run.ts";
export type { OpaqueDevice, PayloadDecoder } from "./payload-decoder.ts";
export type { ListedRamBlock, RamBlockListForm } from "./ram-block-list.ts";
export { RamDecoder } from "./ram-decoder.ts";
export type { InflatePage, PageEncoding, RamDecoderOptions, RamSink } from "./ram-decoder.ts";
export {
  encodeRamBlockEntry,
  encodeRamBlockList,
  encodeRamTotal,
  MAX_RAM_RECORD_BYTES,
  RamPageEncoder,
} from "./ram-encoder.ts";
export {
  illegalRamOffset,
  limitExceeded,
  locateError,
  machineTypeMismatch,
  ramBlockSizeMismatch,
  truncated,
  unknownRamBlock,
  unknownSection,
  unsupportedSectionVersion,
  tooMuchRam,
} from "./refusals.ts";
export { encodeReturnMessage } from "./return-encode.ts";
export { ReturnPathDecoder } from "./return-path.ts";
export { encodeSelfAnnounce, parseMac } from "./self-announce.ts";
export { StreamDecoder } from "./stream-decoder.ts";
export type { StreamDecoderOptions, StreamHandler } from "./stream-handler.ts";
export type {
  VmDescription,
  VmDeviceDescription,
  VmFieldDescription,
  VmStateDescription,
} from "./vm-description.ts";
export { parseVmDescription } from "./vm-description-parse.ts";
export {
  GLOBAL_STATE_SECTION,
  MAX_COMPRESSED_PAGE_BYTES,
  RAM_SECTION,
  STREAM_MAGIC,
  STREAM_VERSION,
  MIGRATION_ID_BYTES,
  WIRE_PAGE_SIZE,
} from "./wire.ts";
export {
  applyDelta,
  checkDelta,
  DELTA_OVERFLOW,
  DELTA_UNCHANGED,
  DeltaPage,
  encodeDelta,
  XBZRLE_ENCODING,
} from "./xbzrle.ts";
export { NOT_KEPT, XbzrleCache } from "./xbzrle-cache.ts";
