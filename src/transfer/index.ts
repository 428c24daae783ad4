// `uring/transfer`: basis readers, plans, delta application, rdiff's formats, copies.

export {
  type ApplyDeltaOptions,
  type ApplyDeltaResult,
  applyDelta,
  type DeltaCounts,
  type DeltaToken,
} from './apply-delta.js'
export {
  type Basis,
  type BasisOptions,
  type BasisReason,
  type BasisReport,
  type BasisStrategy,
  MMAP_THRESHOLD_BYTES,
  openBasis,
  selectReader,
  type TransferWriter,
} from './basis.js'
export { type BufferedBasis, WINDOW_ALIGNMENT, WINDOW_BYTES } from './buffered-basis.js'
export type { Preserve } from './copy/attributes.js'
export { CopyError, type CopyErrorCode } from './copy/errors.js'
export { type CopyFileResult, copyFile } from './copy/file.js'
export type { CopyMethod } from './copy/job.js'
export type { CopyOptions } from './copy/options.js'
export type { CopyProgress, ProgressOptions } from './copy/progress.js'
export { type CopyTreeOptions, type CopyTreeResult, copyTree } from './copy/tree.js'
export type { EntryFilter, EntryKind } from './copy/tree-filter.js'
export { type DeltaOptions, type DeltaResult, deltaFile } from './delta-file.js'
export type { MappedBasis } from './mapped-basis.js'
export { type PatchOptions, type PatchResult, patchFile } from './patch-file.js'
export { type PlanOptions, planTransfer, type TransferPlan } from './plan.js'
export type { RollingSum, StrongSum } from './rdiff/format.js'
export { type SignatureOptions, type SignatureResult, signatureFile } from './signature-file.js'
export { TransferError, type TransferErrorCode } from './transfer-errors.js'
export type { ApplyWishes, OutputWishes, TransferProgress, WrittenOutput } from './write-output.js'
