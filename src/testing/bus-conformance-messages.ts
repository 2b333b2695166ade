import assert from 'node:assert/strict'
import type { BusCheck, BusTrial, Ear } from './bus-conformance-trial.ts'

/** Every way in which text gets lost that somebody takes for Latin-1, lines or C strings. */
const TEXTS: readonly string[] = [
  '{"Keys":["user:1"]}',
  'two\nlines\r\nand a tab\t',
  'NUL \0 and \u0001 and \u007f',
  'quotes \' " ` and \\ and %s $1 {0}',
  'é ü ß Ж 中 \u00a0 \u2028 \u2029 \ufeff',
  '👩‍👩‍👧‍👦 𝒳 \u{10ffff} e\u0301',
  '  blanks around  ',
]

const MEGABYTE = 2 ** 20

const BURST = 10_000

/** Handed over at once; the rest waits, as a cache publishes one message at a time. */
const AT_ONCE = 500

async function publish(from: Ear, text: string): Promise<void> {
  assert.equal(await from.session.publish(text), true)
}

async function assertHears(trial: BusTrial, ear: Ear, texts: readonly string[]): Promise<void> {
  await trial.until('all has come', () => ear.texts.length >= texts.length)
  await trial.settle(ear)
  const order = (list: readonly string[]) =>
    trial.target.overtakes === true ? [...list].sort() : list
  // Compared by hand: an assertion prints both, and a text may have a megabyte.
  const heard = order(ear.texts)
  const wanted = order(texts)
  assert.equal(heard.length, wanted.length)
  const wrong = wanted.findIndex((text, i) => text !== heard[i])
  assert.equal(heard[wrong]?.slice(0, 100), wanted[wrong]?.slice(0, 100))
  assert.equal(wrong, -1, 'a text has changed on its way')
}

/** What caches publish. */
export const messageChecks: readonly BusCheck[] = [
  [
    'publish resolves true, and the message reaches every listener, the publisher’s own included',
    async (trial) => {
      const ears = [await trial.listen(), await trial.listen(), await trial.listen()]
      const texts = ['first', 'second', 'third']
      for (const [i, ear] of ears.entries()) {
        await publish(ear, texts[i] ?? '')
        for (const each of ears) {
          await trial.until('it hears', () => each.texts.length > i)
        }
      }
      for (const ear of ears) await assertHears(trial, ear, texts)
    },
  ],
  [
    'the messages of one publisher come once and in order, also when it does not wait',
    async (trial) => {
      const ears = [await trial.listen(), await trial.listen()]
      const texts = Array.from({ length: 200 }, (_, i) => String(i))
      await Promise.all(ears.flatMap((ear, e) => texts.map((text) => publish(ear, `${e} ${text}`))))
      for (const ear of ears) {
        await trial.until('all has come', () => ear.texts.length >= 2 * texts.length)
        await trial.settle(ear)
        for (const e of ears.keys()) {
          const heard = ear.texts.filter((text) => text.startsWith(`${e} `))
          if (trial.target.overtakes === true) heard.sort((a, b) => (a < b ? -1 : 1))
          const wanted = texts.map((text) => `${e} ${text}`)
          if (trial.target.overtakes === true) wanted.sort((a, b) => (a < b ? -1 : 1))
          assert.deepEqual(heard, wanted)
        }
      }
    },
  ],
  [
    'caches of different names do not hear each other, on one bus and on two',
    async (trial) => {
      if (trial.target.namesIgnored === true) return
      const bus = await trial.bus()
      const ear = await trial.listen({ bus })
      const cacheName = `${trial.cacheName}-2`
      const others = [await trial.listen({ bus, cacheName }), await trial.listen({ cacheName })]
      for (const other of others) await publish(other, 'not for it')
      for (const other of others) await trial.until('they hear', () => other.texts.length === 2)
      await publish(ear, 'for it')
      for (const each of [ear, ...others]) await trial.settle(each)
      await trial.until('it hears', () => ear.texts.length > 0)
      assert.deepEqual(ear.texts, ['for it'])
      for (const other of others) assert.deepEqual(other.texts, ['not for it', 'not for it'])
    },
  ],
  [
    'texts come as they are, whatever they are made of',
    async (trial) => {
      const ear = await trial.listen()
      const other = await trial.listen()
      for (const text of TEXTS) await publish(other, text)
      await assertHears(trial, ear, TEXTS)
    },
  ],
  [
    'a text of a megabyte comes whole',
    async (trial) => {
      const ear = await trial.listen()
      const other = await trial.listen()
      const text = 'é👍,'.repeat(MEGABYTE / 8)
      await publish(other, text)
      await assertHears(trial, ear, [text])
    },
  ],
  [
    'of 10,000 messages in a row all come, or down is told',
    async (trial) => {
      const ear = await trial.listen()
      const other = await trial.listen()
      const texts = Array.from({ length: BURST }, (_, i) => `message ${i}`)
      for (let i = 0; i < BURST; i += AT_ONCE) {
        await Promise.all(texts.slice(i, i + AT_ONCE).map((text) => publish(other, text)))
      }
      const down = () => ear.count('down') > 0
      await trial.until('all has come', () => ear.count('message') >= BURST || down())
      if (!down()) await assertHears(trial, ear, texts)
    },
  ],
  [
    'what a stranger publishes is told too',
    async (trial) => {
      const { target, cacheName } = trial
      if (target.publish === undefined) return
      const ear = await trial.listen()
      for (const text of TEXTS) await target.publish(cacheName, text)
      await assertHears(trial, ear, TEXTS)
    },
  ],
]
