import type { LocalEntry, LocalStore } from '../../src/local/local-store.ts'

export interface PublicCell {
  readonly trace: string
  readonly capacity: number
  readonly lru: number
  readonly s3Fifo: number
  readonly arc: number
  readonly caffeine: number
  readonly opt: number
  readonly ring: number
}

export interface GeneratedCell {
  readonly kind: string
  readonly capacity: number
  readonly caffeine: number
}

export const PUBLIC_CELLS: readonly PublicCell[]
export const GENERATED_CELLS: readonly GeneratedCell[]
export function hitRatio(
  store: Pick<LocalStore, 'get' | 'set'>,
  keys: readonly string[],
  entry: LocalEntry,
): number
export function lruHitRatio(ids: Iterable<unknown> & ArrayLike<unknown>, capacity: number): number
export function keysOf(ids: Int32Array): string[]
export function randomOf(number: number): () => number
export function medianOf(count: number, measure: (number: number) => number): number
