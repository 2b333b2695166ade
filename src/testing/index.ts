export type { RemoteStoreTarget } from './conformance-trial.ts'
export {
  type Fault,
  type FaultyRemoteOptions,
  faultyRemote,
  type StoreOperation,
} from './faulty-remote.ts'
export { type ManualClock, type ManualClockOptions, manualClock } from './manual-clock.ts'
export { type MemoryRemote, type MemoryRemoteOptions, memoryRemote } from './memory-remote.ts'
export {
  type RemoteStoreConformanceOptions,
  remoteStoreConformance,
} from './remote-conformance.ts'
