export { type LmdbOptions, lmdb } from './lmdb-store.ts'
