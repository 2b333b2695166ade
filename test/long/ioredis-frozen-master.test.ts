import { afterEach, describe, expect, it } from 'vitest'
import { ioredis } from '../../src/ioredis/ioredis.ts'
import type { RemoteStore } from '../../src/remote/remote-store.ts'
import { startSentinels } from '../../src/testing/servers/sentinels.ts'
import { ADVISED, answers, type Client, DISTINCT, whenReady } from '../support/ioredis-clients.ts'
import { writeThrough } from '../support/ioredis-failover.ts'
import { until } from '../support/until.ts'

// A frozen master closes no connection: the client has to be told that another has taken its place.

const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function opened(client: Client): Promise<RemoteStore> {
  ends.push(() => client.disconnect())
  await whenReady(client)
  const store = ioredis(client)
  store.open()
  ends.push(() => store.close())
  await until('the store answers', () => answers(store))
  return store
}

describe.each(DISTINCT)('$name, when the master freezes', (one) => {
  it('goes on with the one that sentinels have chosen', async () => {
    const trio = await startSentinels()
    ends.push(() => trio.stop())
    const store = await opened(
      one.single({
        ...ADVISED,
        sentinels: trio.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
        name: trio.masterName,
        failoverDetector: true,
        sentinelRetryStrategy: () => 250,
      }),
    )
    const before = await trio.master()
    before?.freeze()
    const { worksAfter } = await writeThrough(store, 'k', async () => {
      const now = await trio.master().catch(() => undefined)
      return now === before ? undefined : now
    })
    // The sentinels take some 2 s, the client 2 s more to give the old connection up; more where other
    // tests take the machine.
    expect(worksAfter).toBeLessThan(20_000)
  })
})
