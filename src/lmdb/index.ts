export { type LmdbBusOptions, lmdbBus } from './lmdb-bus.ts'
export { type LmdbOptions, lmdb } from './lmdb-store.ts'
