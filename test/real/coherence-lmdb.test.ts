import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { Crew } from './coherence/crew.ts'
import { coldCrowds, failingCrowds } from './coherence/crowds.ts'
import { PATIENT } from './coherence/mixed-load.ts'
import { killedReaders, type Stage, steady } from './coherence/scenarios.ts'

describe('eight processes on one directory of lmdb(), with lmdbBus', () => {
  let path: string
  let stage: Stage
  beforeAll(async () => {
    path = await mkdtemp(join(tmpdir(), 'jetcache-ts-coherence-'))
    const crew = await Crew.muster(8)
    stage = { crew, setup: (name) => ({ name, client: 'lmdb', path, options: PATIENT }) }
  }, 90_000)
  afterAll(async () => {
    await stage?.crew.dismiss()
    await rm(path, { recursive: true, force: true })
  })

  it('load a key once per change, and serve nothing old', async ({ annotate }) => {
    for (const line of await steady(stage, 3)) await annotate(line)
  }, 60_000)

  it('do so while readers are killed and replaced', async ({ annotate }) => {
    for (const line of await killedReaders(stage, 2.5)) await annotate(line)
  }, 60_000)

  it('load a cold key once, however many ask for it', async ({ annotate }) => {
    for (const line of await coldCrowds(stage, 4, 10)) await annotate(line)
  }, 60_000)

  it('run a failing loader once per process at the most', async ({ annotate }) => {
    for (const line of await failingCrowds(stage, 4, 3)) await annotate(line)
  }, 60_000)
})
