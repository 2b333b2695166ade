import { REFRESH_LOCK_SUFFIX } from '../model/key.ts'

/** Who refreshes a key, and since when. */
export interface RefreshLock {
  /** Unix milliseconds; the lock itself holds whole seconds. */
  readonly takenAt: number
  /** Undefined in a lock of jetcache-go, which writes none and never releases. */
  readonly token: string | undefined
}

const SHAPE = /^(\d{1,12})(?::(.+))?$/

/** The key under which jetcache-go looks for the refresh lock of `key`. */
export function refreshLockKey(key: string): string {
  return key + REFRESH_LOCK_SUFFIX
}

/**
 * The value of a lock: unix seconds, then the token that alone may release it. jetcache-go never
 * reads the value, it only sets it where there is none.
 *
 * @param takenAt Unix milliseconds.
 */
export function encodeRefreshLock(takenAt: number, token: string): string {
  return `${Math.floor(takenAt / 1000)}:${token}`
}

/** Reads a lock of ours, or jetcache-go's bare seconds; undefined if it is neither. */
export function parseRefreshLock(value: string): RefreshLock | undefined {
  const match = SHAPE.exec(value)
  return match === null ? undefined : { takenAt: Number(match[1]) * 1000, token: match[2] }
}
