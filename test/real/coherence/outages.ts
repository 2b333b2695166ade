import { expect, onTestFinished } from 'vitest'
import { startRedis } from '../../../src/testing/servers/redis.ts'
import { type TcpFaultProxy, tcpFaultProxy } from '../../../src/testing/tcp-fault-proxy.ts'
import { until } from '../../support/until.ts'
import type { Worker } from './crew.ts'
import { now } from './ledger.ts'
import { keysOf } from './mixed-load.ts'
import type { Report, Stage } from './scenarios.ts'

interface Asked {
  readonly asked: number
  readonly slowest: number
}

/** How often a key is asked for in each process. */
const PER_SECOND = 100

/**
 * Three pairs of processes: the first loses its Redis, which refuses; the second one that answers
 * nothing; the third only that of its bus. All ask for a key that they have not seen before.
 */
export async function hotKey(stage: Stage, seconds: number): Promise<Report> {
  const { crew } = stage
  crew.renew()
  const servers = await Promise.all(Array.from({ length: 4 }, () => startRedis()))
  onTestFinished(async () => void (await Promise.all(servers.map((server) => server.stop()))))
  const [refuses, silent, remote, bus] = servers
  if (!refuses || !silent || !remote || !bus) throw new Error('four servers are needed')
  const kinds = [
    { name: 'refused', port: refuses.port },
    { name: 'silent', port: silent.port },
    { name: 'bus', port: remote.port, busPort: bus.port },
  ]
  const teams = kinds.map((kind, i) => {
    const workers = crew.workers.slice(2 * i, 2 * i + 2)
    return { ...kind, key: `${kind.name}:key`, workers }
  })
  const each = <T>(work: (worker: Worker, team: (typeof teams)[number]) => Promise<T>) =>
    Promise.all(teams.flatMap((team) => team.workers.map((worker) => work(worker, team))))
  await each((worker, { name, key: _, workers: __, ...ports }) =>
    worker.ask('open', { ...stage.setup(name, 0), options: {}, ...ports }),
  )

  await Promise.all([refuses.kill(), bus.kill()])
  silent.freeze()
  const asked = await each((worker, { key }) =>
    worker.ask<Asked>('hot', key, PER_SECOND, seconds * 1000),
  )
  const loads = await each(async ({ number }, { key }) => {
    const own = crew.ledger.loads.filter((load) => load.worker === number && load.key === key)
    return own.length
  })
  for (const { asked: calls } of asked) expect(calls).toBeGreaterThan(seconds * PER_SECOND * 0.9)
  expect(Math.max(...loads)).toBeLessThanOrEqual(seconds + 1)
  // Those who can still ask the remote need not load again.
  expect((loads[4] ?? 0) + (loads[5] ?? 0)).toBe(1)

  await Promise.all([refuses.restart(), bus.restart()])
  silent.resume()
  await until('all are as before', async () => {
    const stats = await each((worker) => worker.stats())
    return stats.every(({ busArmed, breaker }) => busArmed === true && breaker === 'closed')
  })
  await Promise.all(teams.map(({ workers, key }) => workers[0]?.ask('change', 'set', key)))
  await until('all know what is new', async () => {
    const rows = await each((worker, { key }) => worker.ask<{ version: number }>('once', key))
    return rows.every(({ version }) => version === 2)
  })
  const slowest = asked.map((each) => each.slowest.toFixed(0)).join(', ')
  return [`loads in ${seconds} s: ${loads.join(', ')}; slowest answers ${slowest} ms`]
}

/**
 * One process is cut from the bus, another is stopped, while a third changes all of the keys that
 * they have in local, several times.
 */
export async function manyInvalidations(
  stage: Stage,
  port: number,
  { keys: count, changes }: { readonly keys: number; readonly changes: number },
): Promise<Report> {
  const { crew } = stage
  const [writer, cut, stopped] = crew.workers
  if (!writer || !cut || !stopped) throw new Error('three processes are needed')
  const proxy: TcpFaultProxy = await tcpFaultProxy({ target: { port } })
  onTestFinished(() => proxy.close())
  const setup = stage.setup('many', 0)
  await Promise.all([
    writer.ask('open', setup),
    cut.ask('open', { ...setup, busPort: proxy.port }),
    stopped.ask('open', setup),
  ])
  const keys = keysOf('many:', count)
  await writer.ask('readAll', keys)
  await Promise.all([cut.ask('readAll', keys), stopped.ask('readAll', keys)])
  const outdated = (worker: Worker) => worker.ask<number>('outdated', keys)

  proxy.refuse()
  proxy.cut('end')
  await until('it knows that it hears nothing', async () => !(await cut.stats()).busArmed)
  stopped.freeze()
  const startedAt = now()
  for (let round = 0; round < changes; round++) await writer.ask('changeAll', keys)
  const took = now() - startedAt
  expect(await outdated(cut), 'nobody has told it').toBe(count)

  const resumedAt = now()
  stopped.resume()
  await until('the one that was stopped has nothing old', async () => {
    return (await outdated(stopped)) === 0
  })
  const after = now() - resumedAt
  await proxy.heal()
  await until('the other one is armed', async () => (await cut.stats()).busArmed === true)
  expect(await outdated(cut)).toBe(0)
  return [
    `${count * changes} changes in ${took.toFixed(0)} ms`,
    `the stopped one had nothing old ${after.toFixed(0)} ms after it went on`,
  ]
}
