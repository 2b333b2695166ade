import { decodeGoEvent, encodeGoEvent, type GoEventType } from './go-event.ts'
import type { Place } from './numbers.ts'

/*
 * What caches say to each other: jetcache-go's event, with what is ours in one more field, so that Go
 * services on the same channel understand the keys, and we theirs.
 *
 *   {"CacheName":"c","SourceID":"s","EventType":5,"Keys":["user:1"],
 *    "JetCacheTS":{"v":1,"n":7,"s":1200,"x":[5],"r":true,"flush":true,"wake":["user:2"]}}
 *
 *   v  version of the field       n  number       s  milliseconds since the message before
 *   x  void numbers               r  a repeat     flush, wake  as in `BusMessage`
 *
 * What is left out is 0, empty or false. Later versions may add to it, and may not change what these
 * mean: this one reads them in a message of any version.
 */

const VERSION = 1

/** What a cache says to the others. */
export interface BusMessage {
  readonly cacheName: string
  /** Who sent it; a receiver leaves its own messages alone. */
  readonly sourceId: string
  /** What happened to the keys; `undefined` if that is not known, or there are none. */
  readonly type: GoEventType | undefined
  /** They have changed. */
  readonly keys: readonly string[]
  /** `undefined`: from a peer that does not number its messages, or nothing that could be missed. */
  readonly place: Place | undefined
  /** Any key may have changed. */
  readonly flush: boolean
  /** Keys whose leases have come free; nothing has changed. */
  readonly wake: readonly string[]
}

type BusMessageResult =
  | { readonly ok: true; readonly message: BusMessage }
  | { readonly ok: false; readonly reason: string }

export function encodeMessage(message: BusMessage): string {
  const { cacheName, sourceId, keys, place, flush, wake } = message
  return encodeGoEvent({
    cacheName,
    sourceId,
    type: keys.length === 0 ? undefined : message.type,
    keys,
    ours: {
      v: VERSION,
      n: place?.number,
      s: place?.since === 0 ? undefined : place?.since,
      x: place?.void.length === 0 ? undefined : place?.void,
      r: place?.repeat === true ? true : undefined,
      flush: flush ? true : undefined,
      wake: wake.length === 0 ? undefined : wake,
    },
  })
}

/**
 * Reads a message. Never throws: the text comes from whoever may publish on the channel. Keys and
 * names are read or the text is refused; what is ours is read as far as it can be, and errs on the
 * side of dropping too much: a message with keys, or with a number, whose place cannot be read would
 * hide that others are missing, so that it flushes.
 */
export function decodeMessage(text: string): BusMessageResult {
  const result = decodeGoEvent(text)
  if (!result.ok) return result
  const { cacheName, sourceId, type, keys, ours } = result.event
  const event = { cacheName, sourceId, type, keys }
  if (ours === undefined || ours === null) {
    return { ok: true, message: { ...event, place: undefined, flush: false, wake: [] } }
  }
  // A text, a number or a list has none of the fields.
  const { n, s, x, r, flush, wake } = Object(ours) as Readonly<Record<string, unknown>>
  const place = isNumber(n) ? readPlace(n, s, x, r) : undefined
  const unreadable = place === undefined && (given(n) || keys.length > 0)
  return {
    ok: true,
    message: {
      ...event,
      place,
      flush: given(flush) || unreadable,
      wake: listOf(wake, (key) => typeof key === 'string'),
    },
  }
}

/** 0 for a time that makes no sense: the message before was sent just now, so it may be missed. */
function readPlace(number: number, since: unknown, voided: unknown, repeat: unknown): Place {
  const known = typeof since === 'number' && since > 0 && Number.isFinite(since)
  return {
    number,
    since: known ? since : 0,
    void: listOf(voided, isNumber),
    repeat: given(repeat),
  }
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function listOf<T>(value: unknown, is: (part: unknown) => part is T): readonly T[] {
  return Array.isArray(value) ? value.filter(is) : []
}
