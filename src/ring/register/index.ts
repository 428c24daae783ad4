// Everything that io_uring_register(2) offers, as functions that take the ring first. Registered ring descriptors,
// enabling and resizing are methods of `Ring`; provided buffers are a `BufferRing`.

export {
  type BpfFilter,
  type BpfInstruction,
  registerBpfFilter,
  registerBpfFilterTask,
} from './bpf-filter.js'
export {
  cloneBuffers,
  cloneBuffersOffset,
  MAX_REGISTERED_BUFFERS,
  type RegisterableBuffer,
  type RegisterBuffersOptions,
  registerBuffers,
  registerBuffersSparse,
  registerBuffersUpdateTag,
  releaseBufferTag,
  unregisterBuffers,
} from './buffers.js'
export type { Tag } from './call.js'
export { registerSyncCancel, type SyncCancelMatch, type SyncCancelOptions } from './cancel.js'
export { registerClock } from './clock.js'
export { registerEventfd, registerEventfdAsync, unregisterEventfd } from './eventfd.js'
export {
  MAX_REGISTERED_FILES,
  type RegisterFilesOptions,
  registerFileAllocRange,
  registerFiles,
  registerFilesSparse,
  registerFilesUpdate,
  registerFilesUpdateTag,
  unregisterFiles,
} from './files.js'
export { type IowqWorkers, registerIowqAff, registerIowqMaxWorkers, unregisterIowqAff } from './io-wq.js'
export {
  type RegionOptions,
  type RegisteredWait,
  RegisteredWaits,
  type RegisteredWaitsOptions,
  registerRegion,
} from './memory-region.js'
export { type RingMessage, registerSyncMsg } from './messages.js'
export { type NapiSettings, registerNapi, unregisterNapi } from './napi.js'
export { registerPersonality, unregisterPersonality } from './personality.js'
export { type OpcodeProbe, type OpcodeReport, registerProbe } from './probe.js'
export {
  type QueriedOpcodes,
  type QueriedScq,
  type QueriedZcrx,
  type QueryAnswer,
  type QueryReport,
  query,
  queryKernel,
} from './query.js'
export { type Restriction, registerRestrictions, registerTaskRestrictions } from './restrictions.js'
export { registrationFunctions } from './table.js'
export {
  type Ifq,
  type IfqOptions,
  registerIfq,
  registerIfqImport,
  registerZcrxCtrl,
  type ZcrxArea,
} from './zcrx.js'
