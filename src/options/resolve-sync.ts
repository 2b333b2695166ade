import type { InvalidationBus } from '../bus/invalidation-bus.ts'
import { optionTypeError, shown } from '../model/errors.ts'
import { checkNames, duration, flag, hasMethods, type NamesOf } from './checks.ts'
import { DEFAULTS, type LeaseOptions, type SyncOptions } from './options.ts'

/** Options of `sync` made complete; durations in milliseconds. */
export interface ResolvedSync {
  readonly bus: InvalidationBus
  readonly sourceId: string
  readonly foreignWindow: number
  readonly unarmedTtl: number
  /** `Infinity`: as long as its ttl lets it. */
  readonly unarmedServe: number
  readonly publishFills: boolean
}

const LEASE_NAMES: NamesOf<LeaseOptions> = { maxWait: true }
const SYNC_NAMES: NamesOf<SyncOptions> = {
  bus: true,
  sourceId: true,
  foreignWindow: true,
  unarmedTtl: true,
  unarmedServe: true,
  publishFills: true,
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveLease(lease: LeaseOptions | false | undefined): {
  readonly leasing: boolean
  readonly maxWait: number
} {
  if (lease === false) return { leasing: false, maxWait: 0 }
  const given = lease ?? {}
  checkNames(given, LEASE_NAMES, 'lease')
  return { leasing: true, maxWait: duration(given.maxWait, 'lease.maxWait', DEFAULTS.leaseMaxWait) }
}

/** @throws TypeError | RangeError (`code: 'CACHE_OPTION'`) */
export function resolveSync(
  sync: SyncOptions | undefined,
  cacheName: string,
): ResolvedSync | undefined {
  if (sync === undefined) return undefined
  checkNames(sync, SYNC_NAMES, 'sync')
  const { bus, sourceId = cacheName } = sync
  if (!hasMethods(bus, ['open'])) {
    throw optionTypeError(
      `sync.bus must be an invalidation bus, but is ${shown(bus)}`,
      "Make one: redisPubSub(client) from 'jetcache-ts/redis', or leave out sync.",
    )
  }
  if (typeof sourceId !== 'string' || sourceId === '') {
    throw optionTypeError(
      `sync.sourceId must be a string with something in it, but is ${shown(sourceId)}`,
      'Leave it out for the name of the cache.',
    )
  }
  return {
    bus,
    sourceId,
    foreignWindow: duration(sync.foreignWindow, 'sync.foreignWindow', DEFAULTS.foreignWindow),
    unarmedTtl: duration(sync.unarmedTtl, 'sync.unarmedTtl', DEFAULTS.unarmedTtl),
    unarmedServe: duration(sync.unarmedServe, 'sync.unarmedServe', Infinity),
    publishFills: flag(sync.publishFills, 'sync.publishFills'),
  }
}
