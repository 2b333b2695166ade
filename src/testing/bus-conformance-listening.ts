import assert from 'node:assert/strict'
import type { BusCheck } from './bus-conformance-trial.ts'

const SHORTLY = 20

/** Beginning to listen, and beats. */
export const listeningChecks: readonly BusCheck[] = [
  [
    'it has a name, and is of the kind that it says',
    async ({ bus, kind }) => {
      const { name, kind: own } = await bus()
      assert.match(name, /./)
      assert.equal(own, kind)
    },
  ],
  [
    'up is told once it listens, once, and before anything else',
    async (trial) => {
      const ear = await trial.open()
      // Said from the first moment on, while it begins to listen.
      const other = await trial.listen()
      for (let i = 0; i < SHORTLY; i++) await trial.news(other)
      await trial.until('it listens', () => ear.count('up') > 0)
      const last = await trial.news(other)
      await trial.until('it hears', () => trial.toldNews(ear, last))
      assert.equal(ear.told[0]?.what, 'up')
      assert.equal(ear.count('up'), 1)
      assert.equal(ear.count('down'), 0)
    },
  ],
  [
    'whatever is said after up is told',
    async (trial) => {
      const other = await trial.listen()
      const bus = await trial.bus()
      for (let i = 0; i < 5; i++) {
        let said: Promise<string> | undefined
        const onUp = () => {
          said = trial.news(other)
        }
        const ear = await trial.listen({ bus, onUp })
        const news = await said
        await trial.until('it hears', () => trial.toldNews(ear, news ?? ''))
      }
    },
  ],
  [
    'several sessions of one bus are each told everything',
    async (trial) => {
      const bus = await trial.bus()
      const ears = [await trial.listen({ bus }), await trial.listen({ bus })]
      for (const from of ears) {
        const news = await trial.news(from)
        for (const ear of ears) await trial.until('it hears', () => trial.toldNews(ear, news))
      }
    },
  ],
  [
    'a beat answers after all that was said before it',
    async (trial) => {
      const ear = await trial.listen()
      const other = await trial.listen()
      for (let round = 0; round < SHORTLY; round++) {
        const news = await Promise.all([1, 2, 3, 4, 5].map(() => trial.news(other)))
        await trial.settle(ear)
        if (trial.target.overtakes === true) {
          await trial.until('it hears', () => news.every((each) => trial.toldNews(ear, each)))
        } else {
          assert.ok(news.every((each) => trial.toldNews(ear, each)))
        }
      }
    },
  ],
  [
    'beats at the same time are all answered, and tell the listener nothing',
    async (trial) => {
      const ears = [await trial.listen(), await trial.listen()]
      await trial.within(
        'all beats answer',
        Promise.all([...ears, ...ears, ...ears].map((ear) => ear.session.beat())),
      )
      for (const ear of ears) assert.deepEqual(ear.told, [{ what: 'up' }])
    },
  ],
]

/** The end of a session. */
export const closingChecks: readonly BusCheck[] = [
  [
    'nothing is told after the call of close, and others go on',
    async (trial) => {
      const bus = await trial.bus()
      const ear = await trial.listen({ bus })
      const beside = await trial.listen({ bus })
      const other = await trial.listen()
      // On its way while it closes.
      const saying = Array.from({ length: SHORTLY }, () => trial.news(other))
      const closed = ear.session.close()
      const before = ear.told.length
      await trial.within('it closes', closed)
      await Promise.all(saying)
      const last = await trial.news(other)
      for (const each of [beside, other]) {
        await trial.until('others hear', () => trial.toldNews(each, last))
        await trial.settle(each)
        assert.equal(each.count('down'), 0)
      }
      assert.equal(ear.told.length, before)
    },
  ],
  [
    'close may be called again, at once and later',
    async (trial) => {
      const ear = await trial.listen()
      await trial.within('it closes', Promise.all([ear.session.close(), ear.session.close()]))
      await trial.within('it closes again', ear.session.close())
    },
  ],
  [
    'close may be called before it listens',
    async (trial) => {
      const ear = await trial.open()
      const told = ear.told.length
      await trial.within('it closes', ear.session.close())
      const other = await trial.listen()
      await trial.news(other)
      await trial.settle(other)
      assert.equal(ear.told.length, told)
    },
  ],
  [
    'what is published after close does not go out',
    async (trial) => {
      if (trial.kind !== 'messages') return
      const ear = await trial.listen()
      const other = await trial.listen()
      await ear.session.close()
      const out = await trial.within(
        'publish settles',
        ear.session.publish('late').catch(() => 'nobody knows'),
      )
      assert.notEqual(out, true)
      await trial.settle(other)
      assert.deepEqual(other.texts, [])
    },
  ],
  [
    'a bus may be opened again after all its sessions were closed',
    async (trial) => {
      const bus = await trial.bus()
      await (await trial.listen({ bus })).session.close()
      const ear = await trial.listen({ bus })
      const news = await trial.news(ear)
      await trial.until('it hears', () => trial.toldNews(ear, news))
    },
  ],
]

/** Losing the connection that listens. */
export const cutChecks: readonly BusCheck[] = [
  [
    'a cut is told by down, its end by up, and news flow again',
    async (trial) => {
      const { cut, mend } = trial.target
      assert.ok(cut !== undefined, 'create() gives no cut')
      const bus = await trial.bus()
      const ear = await trial.listen({ bus })
      const other = await trial.listen()
      for (let round = 1; round <= 3; round++) {
        const since = ear.told.length
        await cut(bus)
        await trial.until('down is told', () => ear.count('down') >= round)
        await mend?.(bus)
        await trial.until('up is told', () => ear.told.at(-1)?.what === 'up')
        const news = await trial.news(other)
        await trial.until('it hears', () => trial.toldNews(ear, news, since))
        await trial.settle(ear)
        const changes = ear.told.slice(since).map(({ what }) => what)
        assert.equal(changes[0], 'down')
        assert.ok(changes.includes('up'))
      }
      assert.equal(other.count('down'), 0)
    },
  ],
  [
    'a beat that was cut does not answer',
    async (trial) => {
      const { cut, mend } = trial.target
      assert.ok(cut !== undefined, 'create() gives no cut')
      const bus = await trial.bus()
      const ear = await trial.listen({ bus })
      const ups = ear.count('up')
      await cut(bus)
      await trial.until('down is told', () => ear.count('down') > 0)
      let answeredUnheard = false
      void ear.session.beat().then(
        // One that waited for the end of the cut may answer.
        () => {
          answeredUnheard = ear.count('up') === ups
        },
        () => undefined,
      )
      const other = await trial.listen()
      await trial.settle(other)
      await mend?.(bus)
      await trial.until('up is told', () => ear.count('up') > ups)
      await trial.settle(ear)
      assert.equal(answeredUnheard, false)
    },
  ],
  [
    'closing while it is cut ends it',
    async (trial) => {
      const { cut, mend } = trial.target
      assert.ok(cut !== undefined, 'create() gives no cut')
      const bus = await trial.bus()
      const ear = await trial.listen({ bus })
      await cut(bus)
      await trial.until('down is told', () => ear.count('down') > 0)
      const closing = ear.session.close()
      const told = ear.told.length
      await trial.within('it closes', closing)
      await mend?.(bus)
      const other = await trial.listen()
      await trial.news(other)
      await trial.settle(other)
      assert.equal(ear.told.length, told)
    },
  ],
]
