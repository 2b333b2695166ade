import assert from 'node:assert/strict'
import { type BusCheck, type BusTrial, type Ear, storeOf } from './bus-conformance-trial.ts'

const KEYS: readonly string[] = ['user:1', 'é 👍', 'a,b', 'two\nlines', '{tag}:1']

/** Two sessions of one bus, and one of another. */
async function listeners(trial: BusTrial): Promise<Ear[]> {
  const bus = await trial.bus()
  return [await trial.listen({ bus }), await trial.listen({ bus }), await trial.listen()]
}

/** Changes something, and waits until every listener was told of the key. */
async function assertTold(
  trial: BusTrial,
  ears: readonly Ear[],
  key: string | undefined,
  change: () => Promise<void>,
): Promise<void> {
  const since = ears.map((ear) => ear.told.length)
  await change()
  for (const [i, ear] of ears.entries()) {
    await trial.until('it is told', () => ear.toldOf(key, since[i]))
  }
}

/** What the store tells of by itself. */
export const noticeChecks: readonly BusCheck[] = [
  [
    'a key that somebody writes is told, over nothing and over a value',
    async (trial) => {
      const store = storeOf(trial.target)
      const ears = await listeners(trial)
      for (const key of KEYS) {
        const name = `${store.prefix}${key}`
        await assertTold(trial, ears, name, () => store.set(name, 'old'))
        await assertTold(trial, ears, name, () => store.set(name, 'new'))
      }
    },
  ],
  [
    'a key that somebody deletes is told',
    async (trial) => {
      const store = storeOf(trial.target)
      const key = `${store.prefix}deleted`
      await store.set(key, 'value')
      const ears = await listeners(trial)
      await assertTold(trial, ears, key, () => store.delete(key))
    },
  ],
  [
    'a key that expires is told',
    async (trial) => {
      const store = storeOf(trial.target)
      const key = `${store.prefix}expires`
      const ear = await trial.listen()
      await store.setBriefly(key, 'value')
      await trial.until('the write is told', () => ear.toldOf(key))
      const since = ear.told.length
      await trial.until('the expiry is told', () => ear.toldOf(key, since))
    },
  ],
  [
    'a flush is told as a change of any key',
    async (trial) => {
      const { flush } = storeOf(trial.target)
      if (flush === undefined) return
      await assertTold(trial, await listeners(trial), undefined, flush)
    },
  ],
  [
    'only keys are told, each as its writer called it',
    async (trial) => {
      const store = storeOf(trial.target)
      const ear = await trial.listen()
      const keys = KEYS.map((key) => `${store.prefix}${key}`)
      for (const key of keys) await store.set(key, 'value')
      await trial.until('all are told', () => keys.every((key) => ear.toldOf(key)))
      await trial.settle(ear)
      const told = ear.told.flatMap((each) => (each.what === 'changed' ? (each.keys ?? []) : []))
      const own = told.filter((key) => key.startsWith(store.prefix))
      assert.deepEqual([...new Set(own)].sort(), [...keys].sort())
      assert.equal(ear.count('message'), 0)
    },
  ],
]
