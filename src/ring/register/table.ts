// Which function of this library makes which registration: data for the coverage document.

import type { RegisterOpcodeName } from '../../syscalls/abi/index.js'

/** Every operation of io_uring_register(2), and the flag that goes with each, with the functions that make it. */
export const registrationFunctions: Readonly<
  Record<RegisterOpcodeName | 'IORING_REGISTER_USE_REGISTERED_RING', readonly string[]>
> = {
  IORING_REGISTER_BUFFERS: ['registerBuffers'],
  IORING_UNREGISTER_BUFFERS: ['unregisterBuffers'],
  IORING_REGISTER_FILES: ['registerFiles'],
  IORING_UNREGISTER_FILES: ['unregisterFiles'],
  IORING_REGISTER_EVENTFD: ['registerEventfd'],
  IORING_UNREGISTER_EVENTFD: ['unregisterEventfd'],
  IORING_REGISTER_FILES_UPDATE: ['registerFilesUpdate'],
  IORING_REGISTER_EVENTFD_ASYNC: ['registerEventfdAsync'],
  IORING_REGISTER_PROBE: ['registerProbe'],
  IORING_REGISTER_PERSONALITY: ['registerPersonality'],
  IORING_UNREGISTER_PERSONALITY: ['unregisterPersonality'],
  IORING_REGISTER_RESTRICTIONS: ['registerRestrictions', 'registerTaskRestrictions'],
  IORING_REGISTER_ENABLE_RINGS: ['Ring.enable'],
  IORING_REGISTER_FILES2: ['registerFiles', 'registerFilesSparse'],
  IORING_REGISTER_FILES_UPDATE2: ['registerFilesUpdateTag'],
  IORING_REGISTER_BUFFERS2: ['registerBuffers', 'registerBuffersSparse'],
  IORING_REGISTER_BUFFERS_UPDATE: ['registerBuffersUpdateTag'],
  IORING_REGISTER_IOWQ_AFF: ['registerIowqAff'],
  IORING_UNREGISTER_IOWQ_AFF: ['unregisterIowqAff'],
  IORING_REGISTER_IOWQ_MAX_WORKERS: ['registerIowqMaxWorkers'],
  IORING_REGISTER_RING_FDS: ['Ring.registerRingFd'],
  IORING_UNREGISTER_RING_FDS: ['Ring.unregisterRingFd'],
  IORING_REGISTER_PBUF_RING: ['BufferRing.setup'],
  IORING_UNREGISTER_PBUF_RING: ['BufferRing.close'],
  IORING_REGISTER_SYNC_CANCEL: ['registerSyncCancel'],
  IORING_REGISTER_FILE_ALLOC_RANGE: ['registerFileAllocRange'],
  IORING_REGISTER_PBUF_STATUS: ['BufferRing.head', 'BufferRing.available'],
  IORING_REGISTER_NAPI: ['registerNapi'],
  IORING_UNREGISTER_NAPI: ['unregisterNapi'],
  IORING_REGISTER_CLOCK: ['registerClock'],
  IORING_REGISTER_CLONE_BUFFERS: ['cloneBuffers', 'cloneBuffersOffset'],
  IORING_REGISTER_SEND_MSG_RING: ['registerSyncMsg'],
  IORING_REGISTER_ZCRX_IFQ: ['registerIfq', 'registerIfqImport'],
  IORING_REGISTER_RESIZE_RINGS: ['Ring.resize'],
  IORING_REGISTER_MEM_REGION: ['registerRegion', 'RegisteredWaits.register'],
  IORING_REGISTER_QUERY: ['query', 'queryKernel'],
  IORING_REGISTER_ZCRX_CTRL: ['registerZcrxCtrl'],
  IORING_REGISTER_BPF_FILTER: ['registerBpfFilter', 'registerBpfFilterTask'],
  IORING_REGISTER_USE_REGISTERED_RING: ['Ring.register'],
}
