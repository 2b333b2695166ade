import { afterAll, beforeAll, describe, inject } from 'vitest'
import { batchTests } from './live/batches.ts'
import { eventTests } from './live/events.ts'
import { exampleTests } from './live/examples.ts'
import { invalidationTests } from './live/invalidation.ts'
import { loadTests } from './live/loads.ts'
import { refusalTests } from './live/refusals.ts'
import { valueTests } from './live/values.ts'
import { BUILD_DEADLINE, findGo } from './support/go-peer.ts'
import { openWorld, type World } from './support/world.ts'

// One file, so that the Go program is built once.
const found = await findGo()
if ('missing' in found) {
  console.warn(`The live tests against jetcache-go are skipped: ${found.missing}.`)
}

describe.skipIf('missing' in found)('against jetcache-go itself', () => {
  let opened: World | undefined
  const world = (): World => {
    if (opened === undefined) throw new Error('the Go program was not started')
    return opened
  }
  beforeAll(async () => {
    if ('go' in found) opened = await openWorld(found.go, inject('redisUrl'))
  }, BUILD_DEADLINE)
  afterAll(() => opened?.end())

  valueTests(world)
  loadTests(world)
  batchTests(world)
  refusalTests(world)
  eventTests(world)
  invalidationTests(world)
  exampleTests(world)
})
