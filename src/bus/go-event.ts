/** What happened to the keys, in the order of jetcache-go's numbers 1 to 5. */
export type GoEventType = 'set' | 'setByOnce' | 'setByRefresh' | 'setByMGet' | 'delete'

const TYPES: readonly GoEventType[] = ['set', 'setByOnce', 'setByRefresh', 'setByMGet', 'delete']

/** jetcache-go's invalidation event. */
interface GoEvent {
  readonly cacheName: string
  /** Who sent it; a receiver leaves its own events alone. */
  readonly sourceId: string
  /**
   * Undefined for a number we do not know, of a later version: the keys have changed all the same.
   * Written as 0, which jetcache-go does not know.
   */
  readonly type: GoEventType | undefined
  readonly keys: readonly string[]
  /** What stands in the one field that is ours; Go leaves it aside. `message.ts` gives it a meaning. */
  readonly ours?: unknown
}

type GoEventResult =
  | { readonly ok: true; readonly event: GoEvent }
  | { readonly ok: false; readonly reason: string }

/** Writes an event as the JSON text that a Go receiver unmarshals. */
export function encodeGoEvent(event: GoEvent): string {
  return JSON.stringify({
    CacheName: event.cacheName,
    SourceID: event.sourceId,
    EventType: event.type === undefined ? 0 : TYPES.indexOf(event.type) + 1,
    Keys: event.keys,
    JetCacheTS: event.ours,
  })
}

/**
 * Reads an event. Fields that it does not know are left aside, as Go does; what Go leaves out or
 * writes as null is empty. Never throws: the text comes from whoever may publish on the channel.
 */
export function decodeGoEvent(text: string): GoEventResult {
  const parsed = parse(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return refused('not a JSON object')
  }
  const fields = parsed as Readonly<Record<string, unknown>>
  const { CacheName, SourceID, EventType, Keys, JetCacheTS: ours } = fields
  const cacheName = CacheName ?? ''
  const sourceId = SourceID ?? ''
  const number = EventType ?? 0
  const keys = Keys ?? []
  if (typeof cacheName !== 'string') return refused('CacheName is not a string')
  if (typeof sourceId !== 'string') return refused('SourceID is not a string')
  if (!Number.isInteger(number)) return refused('EventType is not an integer')
  if (!isStrings(keys)) return refused('Keys is not a list of strings')
  const type = TYPES[(number as number) - 1]
  return { ok: true, event: { cacheName, sourceId, type, keys, ours } }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((part) => typeof part === 'string')
}

function refused(reason: string): GoEventResult {
  return { ok: false, reason }
}
