import { expect, test } from 'vitest'
import { decodeGoEvent, encodeGoEvent } from '../../../src/bus/go-event.ts'
import { parseRefreshLock, refreshLockKey } from '../../../src/refresh/refresh-lock.ts'
import { until } from '../../support/until.ts'
import type { World } from '../support/world.ts'

const SENDER = { cacheName: 'orders', sourceId: '00ff00ff00ff00ff' }

export function eventTests(world: () => World): void {
  test.each(['set', 'setByOnce', 'delete'] as const)(
    'the event of Go after %s is understood',
    async (type) => {
      const { go, key } = world()
      const at = key('event')
      const { text = '' } = await go.call({ do: 'event', loads: type, key: at })
      expect(decodeGoEvent(text)).toEqual({ ok: true, event: { ...SENDER, type, keys: [at] } })
    },
  )

  test('the event of Go after MGet names each key', async () => {
    const { go, key } = world()
    const prefix = key('event')
    const { text = '' } = await go.call({
      do: 'event',
      loads: 'setByMGet',
      prefix,
      ids: ['a', 'b'],
    })
    const decoded = decodeGoEvent(text)
    expect(decoded).toMatchObject({ ok: true, event: { ...SENDER, type: 'setByMGet' } })
    const keys = decoded.ok ? [...decoded.event.keys].sort() : []
    expect(keys).toEqual([`${prefix}:a`, `${prefix}:b`])
  })

  test.each([
    ['set', 1],
    ['setByOnce', 2],
    ['setByRefresh', 3],
    ['setByMGet', 4],
    ['delete', 5],
  ] as const)('an event of ours, %s, has in Go the number %i', async (type, number) => {
    const text = encodeGoEvent({ ...SENDER, type, keys: ['a:1', 'é "2"'] })
    const answer = await world().go.call({ do: 'parseEvent', text })
    expect(answer.shown).toBe(
      `{CacheName:orders SourceID:00ff00ff00ff00ff EventType:${number} Keys:[a:1 é "2"]}`,
    )
  })

  test('the lock and the event of a refresh in Go are understood', async () => {
    const { go, key, redis } = world()
    const at = key('refreshed')
    const answered = go.call({ do: 'refresh', key: at })
    let lock: string | null = null
    // Go keeps it for 10 ms less than the second of its interval.
    await until('Go takes the lock', async () => {
      lock = await redis.get(refreshLockKey(at))
      return lock !== null
    })
    const seconds = Number(lock)
    expect(parseRefreshLock(lock ?? '')).toEqual({ takenAt: seconds * 1000, token: undefined })
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60)
    const { text = '' } = await answered
    expect(decodeGoEvent(text)).toEqual({
      ok: true,
      event: { ...SENDER, type: 'setByRefresh', keys: [at] },
    })
  })
}
