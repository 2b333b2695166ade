import { expect, onTestFinished } from 'vitest'
import { until } from '../../support/until.ts'
import { now } from './ledger.ts'
import type { Report, Stage } from './scenarios.ts'
import { swallowingWire } from './swallowing-wire.ts'

/**
 * The last message before a silence does not reach one process: only that its number is said again
 * tells of it.
 */
export async function lastMessageLost(stage: Stage, port: number): Promise<Report> {
  const { crew } = stage
  const [writer, reader] = crew.workers
  if (writer === undefined || reader === undefined) throw new Error('two processes are needed')
  const wire = await swallowingWire(port)
  onTestFinished(() => wire.close())
  const key = 'silence:key'
  await writer.ask('open', stage.setup('silence', 0))
  await reader.ask('open', { ...stage.setup('silence', 1), busPort: wire.port })
  // The first message of a source is a gap by itself: one that is heard goes before.
  await writer.ask('change', 'set', 'silence:another')
  await until('it was heard', async () => (await reader.stats()).busReceived > 0)
  const read = () => reader.ask<{ version: number }>('once', key)
  expect(await read()).toMatchObject({ version: 1 })
  const before = await reader.stats()

  wire.swallow('jetcache-ts:0:silence', key)
  await writer.ask('change', 'set', key)
  const changedAt = now()
  await until('the message is lost', () => wire.swallowed === 1)
  expect(await read(), 'nobody has told it').toMatchObject({ version: 1 })
  await until('it reads what is new', async () => (await read()).version === 2)
  const took = now() - changedAt
  // Said again after 1 s; what is missing may still come for another.
  expect(took).toBeLessThan(4000)
  const after = await reader.stats()
  expect(after.busGaps).toBe(before.busGaps + 1)
  expect(after.busDisarmed).toBe(before.busDisarmed)
  return [`noticed after ${took.toFixed(0)} ms`]
}
