import { describe, expect, it } from 'vitest'
import type { BusListener } from '../../../src/bus/invalidation-bus.ts'
import {
  type MemoryBus,
  type MemoryBusCarriage,
  type MemoryBusLine,
  type MemoryBusSending,
  memoryBus,
} from '../../../src/testing/memory-bus.ts'
import { memoryRemote } from '../../../src/testing/memory-remote.ts'

async function listen(bus: MemoryBus, name = 'users') {
  const told: string[] = []
  const listener: BusListener = {
    message: (text) => told.push(text),
    changed: () => expect.fail('never told'),
    up: () => told.push('up'),
    down: () => told.push('down'),
  }
  const session = bus.open(listener, { name })
  const line: MemoryBusLine = bus.lines.at(-1) ?? expect.fail()
  await session.beat()
  return { told, session, line }
}

describe('a bus in memory', () => {
  it('delivers in order, in a later microtask', async () => {
    const { told, session } = await listen(memoryBus())
    const out = [session.publish('1'), session.publish('2')]
    expect(told).toEqual(['up'])
    expect(await Promise.all(out)).toEqual([true, true])
    expect(told).toEqual(['up', '1', '2'])
  })

  it('loses, doubles and holds single messages of single lines', async () => {
    const ways: Record<string, MemoryBusCarriage> = { '1': 'drop', '2': 'twice', '3': 'hold' }
    const lines: MemoryBusLine[] = []
    const bus = memoryBus({
      carry: (text, line) => (line === lines[0] ? ways[text] : undefined) ?? 'deliver',
    })
    const [one, other] = [await listen(bus), await listen(bus)]
    lines.push(one.line)
    for (const text of ['1', '2', '3', '3', '4']) await other.session.publish(text)
    await one.session.beat()
    expect(other.told).toEqual(['up', '1', '2', '3', '3', '4'])
    expect(one.told).toEqual(['up', '2', '2', '4'])
    expect(one.line.held).toEqual(['3', '3'])
    one.line.lose()
    one.line.release()
    one.line.release()
    expect(one.told).toEqual(['up', '2', '2', '4', '3'])
  })

  it('cuts a line, which loses what was on its way', async () => {
    const bus = memoryBus({ carry: (text) => (text === 'held' ? 'hold' : 'deliver') })
    const { told, session, line } = await listen(bus)
    await session.publish('held')
    const beat = session.beat()
    const publishing = session.publish('on its way')
    line.cut()
    await expect(beat).rejects.toThrow('not listening')
    expect(await publishing).toBe(true)
    await expect(session.beat()).rejects.toThrow('not listening')
    await session.publish('while it was cut')
    line.mend()
    await session.publish('after')
    await session.beat()
    expect([told, line.held]).toEqual([['up', 'down', 'up', 'after'], []])
  })

  it('loses what was on its way also if it is mended at once', async () => {
    const { told, session, line } = await listen(memoryBus())
    const publishing = session.publish('on its way')
    line.cut()
    line.mend()
    await publishing
    await session.beat()
    expect(told).toEqual(['up', 'down', 'up'])
  })

  it('cuts a line without a word, until it is mended', async () => {
    const { told, session, line } = await listen(memoryBus())
    line.cut('silent')
    let answered = false
    session.beat().then(
      () => {
        answered = true
      },
      () => expect.fail('it stays silent'),
    )
    await session.publish('lost')
    await new Promise((resolve) => setImmediate(resolve))
    expect([told, answered, line.listening]).toEqual([['up'], false, false])
    line.mend()
    expect(told).toEqual(['up', 'down', 'up'])
  })

  it.each<[MemoryBusSending, boolean | 'nobody knows', string[]]>([
    ['out', true, ['up', 'text']],
    ['not out', false, ['up']],
    ['out unseen', 'nobody knows', ['up', 'text']],
    ['lost', 'nobody knows', ['up']],
  ])('says of a message that is %s what a transport says', async (sending, answer, heard) => {
    const { told, session } = await listen(memoryBus({ send: () => sending }))
    expect(await session.publish('text').catch(() => 'nobody knows')).toBe(answer)
    await session.beat()
    expect(told).toEqual(heard)
  })

  it('carries what a memory remote announces in the step of a change', async () => {
    const bus = memoryBus()
    const remote = memoryRemote({ announce: bus.announce, origin: bus.origin })
    const { told, session } = await listen(bus)
    const channel = session.channelOn?.(remote.origin ?? expect.fail()) ?? expect.fail()
    expect(session.channelOn?.(memoryRemote())).toBeUndefined()
    await remote.delete(['k'], { announce: { channel, text: 'gone' } })
    await session.beat()
    expect(told).toEqual(['up', 'gone'])
  })

  it('has a line for each cache that has not closed', async () => {
    const bus = memoryBus()
    const [one, other] = [await listen(bus), await listen(bus)]
    await one.session.close()
    expect(bus.lines).toEqual([other.line])
    one.line.mend()
    one.line.release()
    expect(one.told).toEqual(['up'])
  })
})
