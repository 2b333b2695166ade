import { expect } from 'vitest'
import { until } from '../support/until.ts'
import { bytes, type Crew, type Worker } from './lmdb-crew.ts'

const MINUTE = 60_000
const FOREVER = 1e9

/** Nothing torn, and the counter is what a recount gives. */
async function expectWhole(processes: Crew, one: Worker): Promise<void> {
  const { whole, torn } = await one.ask<{ whole: number; torn: number }>('inspect')
  expect(torn).toBe(0)
  expect(whole).toBeGreaterThan(10)
  const audit = await processes.audit()
  const { counted, counter } = audit.recount()
  await audit.close()
  expect(counter).toBe(counted)
}

/** Waits until `worker` has written some hundred times more, and for a moment nobody can foresee. */
async function inTheMiddle(worker: Worker): Promise<void> {
  const least = Number(worker.progress) + 50 + Math.random() * 200
  await until('it is writing', () => Number(worker.progress) >= least)
  for (let turns = Math.random() * 50; turns > 0; turns--) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function startWriting(processes: Crew): Promise<Worker> {
  const worker = await processes.start()
  worker.progress = 0
  worker.ask('churn', FOREVER).catch(() => undefined)
  return worker
}

/** In each a process is killed while it and another one write. */
export async function killRounds(processes: Crew, rounds: number): Promise<void> {
  const survivor = await processes.start()
  for (let round = 0; round < rounds; round++) {
    const victim = await startWriting(processes)
    const own = survivor.ask('churn', 200)
    await inTheMiddle(victim)
    await victim.kill()
    expect(victim.process.signalCode).toBe('SIGKILL')
    expect(await own).toBe(200)
    await expectWhole(processes, survivor)
  }
}

/** In each a process is stopped while it writes, and goes on. */
export async function stopRounds(processes: Crew, rounds: number): Promise<number> {
  const other = await processes.start()
  const stopped = await startWriting(processes)
  let refused = 0
  const attempt = () =>
    other.ask<{ value?: boolean; verdict?: string }>('attempt', 'set', 'k', bytes('v'), {
      ttl: MINUTE,
    })
  for (let round = 0; round < rounds; round++) {
    await inTheMiddle(stopped)
    stopped.process.kill('SIGSTOP')
    await until('it is stopped', () => stopped.isStopped)
    const { value, verdict } = await attempt()
    // Stopped between two transactions it is in nobody's way.
    expect(value === true || verdict === 'refused').toBe(true)
    if (verdict === 'refused') refused++
    expect(await other.ask('call', 'getMany', ['k', 'never'])).toHaveLength(2)
    stopped.process.kill('SIGCONT')
    await until('the other one writes again', async () => (await attempt()).value === true)
    await expectWhole(processes, other)
  }
  return refused
}

/** Two open and close the directory all the time, alone and while a third one writes. */
export async function openCloseRounds(processes: Crew, rounds: number): Promise<void> {
  const visitors = await Promise.all([processes.start(), processes.start()])
  const visit = async () => {
    const visits = await Promise.all(visitors.map((each) => each.ask<number>('comeAndGo', rounds)))
    for (const each of visits) expect(each).toBeGreaterThan(rounds / 2)
  }
  await visit()
  const writer = await startWriting(processes)
  await visit()
  await inTheMiddle(writer)
  await writer.kill()
  await expectWhole(processes, visitors[0])
}

/** Threads end without having closed the directory, while a process opens and closes it. */
export async function unclosedRounds(processes: Crew, rounds: number): Promise<void> {
  const [visitor, host] = await Promise.all([processes.start(), processes.start()])
  // Nobody else has it open: a thread that ends is the last one out.
  await host.ask('call', 'close')
  let ending = true
  const threads = host.ask('threads', rounds).finally(() => {
    ending = false
  })
  const visit = async () => {
    let visits = 0
    while (ending) visits += await visitor.ask<number>('comeAndGo', 50)
    return visits
  }
  const [ended, visits] = await Promise.all([threads, visit()])
  expect(ended).toBe(rounds)
  expect(visits).toBeGreaterThan(rounds)
}
