import type { CacheSettings } from '../../src/options/options.ts'
import type { StoreOperation } from '../../src/testing/faulty-remote.ts'

/** How a load uses the remote. */
export interface LoadPath {
  readonly leases: 'with leases' | 'without leases'
  readonly settings: Pick<CacheSettings, 'lease'>
  /** How it reads what is there. */
  readonly read: StoreOperation
  /** How it stores what it brought. */
  readonly fill: StoreOperation
}

export const LEASED: LoadPath = {
  leases: 'with leases',
  settings: {},
  read: 'lease.read',
  fill: 'lease.fill',
}

export const UNLEASED: LoadPath = {
  leases: 'without leases',
  settings: { lease: false },
  read: 'get',
  fill: 'compareAndSet',
}

/** For `describe.each`. */
export const LOAD_PATHS: readonly LoadPath[] = [LEASED, UNLEASED]
