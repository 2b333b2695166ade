import { describe, expect, it } from 'vitest'
import { customBus } from '../../../src/bus/custom-bus.ts'
import type { BusListener } from '../../../src/bus/invalidation-bus.ts'

function notes() {
  const told: string[] = []
  const listener: BusListener = {
    message: (text) => told.push(text),
    changed: () => expect.fail('never told'),
    up: () => told.push('up'),
    down: () => told.push('down'),
  }
  return { told, listener }
}

const CACHE = { name: 'users' }
const nowhere = () => undefined

describe('a bus over a transport of the user’s own', () => {
  it('listens from the beginning, and tells all its caches what is applied', () => {
    const bus = customBus({ onEvent: nowhere })
    const [one, other] = [notes(), notes()]
    bus.open(one.listener, CACHE)
    bus.open(other.listener, { name: 'orders' })
    bus.apply('text')
    expect(one.told).toEqual(['up', 'text'])
    expect(other.told).toEqual(['up', 'text'])
  })

  it('tells a cache that opens it while the transport is down when that is up', () => {
    const bus = customBus({ onEvent: nowhere })
    const one = notes()
    bus.down()
    bus.open(one.listener, CACHE)
    expect(one.told).toEqual([])
    bus.up()
    bus.down()
    expect(one.told).toEqual(['up', 'down'])
  })

  it('has published once onEvent is through', async () => {
    let finish = nowhere as () => void
    const texts: string[] = []
    const onEvent = (text: string) => {
      texts.push(text)
      return new Promise<void>((resolve) => {
        finish = resolve
      })
    }
    const session = customBus({ onEvent }).open(notes().listener, CACHE)
    let out: boolean | undefined
    const publishing = session.publish('text').then((it) => {
      out = it
    })
    await Promise.resolve()
    expect([texts, out]).toEqual([['text'], undefined])
    finish()
    await publishing
    expect(out).toBe(true)
  })

  it.each<[string, () => Promise<void>]>([
    ['rejects', () => Promise.reject(new Error('lost'))],
    [
      'throws',
      () => {
        throw new Error('lost')
      },
    ],
  ])('does not know whether a message went out if onEvent %s', async (_, onEvent) => {
    const session = customBus({ onEvent }).open(notes().listener, CACHE)
    await expect(session.publish('text')).rejects.toThrow('lost')
  })

  it('answers beats by itself, or as the transport does', async () => {
    await customBus({ onEvent: nowhere }).open(notes().listener, CACHE).beat()
    const beat = () => Promise.reject(new Error('silent'))
    const session = customBus({ onEvent: nowhere, beat }).open(notes().listener, CACHE)
    await expect(session.beat()).rejects.toThrow('silent')
  })

  it('tells nothing to a cache that has closed, and publishes nothing of it', async () => {
    const texts: string[] = []
    const bus = customBus({ onEvent: (text) => void texts.push(text) })
    const [one, other] = [notes(), notes()]
    const session = bus.open(one.listener, CACHE)
    bus.open(other.listener, CACHE)
    await session.close()
    await session.close()
    bus.apply('late')
    bus.down()
    expect(await session.publish('late')).toBe(false)
    expect([one.told, other.told, texts]).toEqual([['up'], ['up', 'late', 'down'], []])
  })

  it('refuses bytes, which a transport may deliver where text is meant', () => {
    const bus = customBus({ onEvent: nowhere })
    const bytes: unknown = Buffer.from('text')
    expect(() => bus.apply(bytes as string)).toThrow(TypeError)
  })
})
