import { expect } from 'vitest'
import type { Worker } from './crew.ts'
import type { Report, Stage } from './scenarios.ts'

/** Callers in each process. */
const CALLERS = 1000

/** Milliseconds that the loader takes. */
const LOADER = 20

interface Crowd {
  readonly answered: number
  /** Different errors that they got. */
  readonly errors: number
}

async function opened(stage: Stage, name: string, processes: number): Promise<readonly Worker[]> {
  const workers = stage.crew.workers.slice(0, processes)
  expect(workers).toHaveLength(processes)
  stage.crew.renew()
  await Promise.all(workers.map((worker, place) => worker.ask('open', stage.setup(name, place))))
  return workers
}

/** Callers in all of the processes ask at once for a key that no tier holds, in each round another. */
export async function coldCrowds(stage: Stage, processes: number, rounds: number): Promise<Report> {
  const workers = await opened(stage, 'crowd', processes)
  const loads: number[] = []
  for (let round = 0; round < rounds; round++) {
    const key = `crowd:${round}`
    const crowds = await Promise.all(
      workers.map((worker) => worker.ask<Crowd>('crowd', key, CALLERS, LOADER, false)),
    )
    expect(crowds.map(({ answered }) => answered)).toEqual(workers.map(() => CALLERS))
    loads.push(stage.crew.ledger.loads.filter((load) => load.key === key).length)
  }
  expect(loads).toEqual(loads.map(() => 1))
  return [`${rounds} rounds of ${processes} x ${CALLERS} callers: one load each`]
}

export async function failingCrowds(
  stage: Stage,
  processes: number,
  rounds: number,
): Promise<Report> {
  const workers = await opened(stage, 'failing', processes)
  const loads: number[] = []
  for (let round = 0; round < rounds; round++) {
    const key = `failing:${round}`
    const crowds = await Promise.all(
      workers.map((worker) => worker.ask<Crowd>('crowd', key, CALLERS, LOADER, true)),
    )
    expect(crowds).toEqual(workers.map(() => ({ answered: 0, errors: 1 })))
    const begun = stage.crew.ledger.loads.filter((load) => load.key === key)
    const perProcess = workers.map(
      ({ number }) => begun.filter(({ worker }) => worker === number).length,
    )
    expect(Math.max(...perProcess)).toBe(1)
    loads.push(begun.length)
  }
  return [
    `${processes} x ${CALLERS} callers of a failing loader: up to ${Math.max(...loads)} loads`,
  ]
}
