import { AssertionError } from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import type { BusListener, BusSession, InvalidationBus } from '../../../src/bus/invalidation-bus.ts'
import { busConformance } from '../../../src/testing/bus-conformance.ts'
import type { InvalidationBusTarget } from '../../../src/testing/bus-conformance-trial.ts'
import { type MemoryBusLine, memoryBus } from '../../../src/testing/memory-bus.ts'

/** Wraps how a sound bus is opened, or what it says of itself. */
type Defect = (open: InvalidationBus['open']) => InvalidationBus['open'] | Partial<InvalidationBus>

type Checks = ReadonlyMap<string, () => Promise<void>>

const PATIENCE = 150

function defective(sound: InvalidationBus, defect: Defect): InvalidationBus {
  const wrong = defect((listener, cache) => sound.open(listener, cache))
  return { ...sound, ...(typeof wrong === 'function' ? { open: wrong } : wrong) }
}

/** A transport in memory, whose buses each know their lines. */
function messagesTarget(defect: Defect): InvalidationBusTarget {
  const shared = memoryBus()
  const linesOf = new Map<InvalidationBus, MemoryBusLine[]>()
  return {
    bus: () => {
      const lines: MemoryBusLine[] = []
      const open: InvalidationBus['open'] = (listener, cache) => {
        const session = shared.open(listener, cache)
        lines.push(...shared.lines.slice(-1))
        return session
      }
      const bus = defective({ name: 'memory', kind: 'messages', open }, defect)
      linesOf.set(bus, lines)
      return bus
    },
    cut: (bus) => {
      for (const line of linesOf.get(bus) ?? []) line.cut()
    },
    mend: (bus) => {
      for (const line of linesOf.get(bus) ?? []) line.mend()
    },
    publish: (cacheName, text) => shared.announce(cacheName, text),
    patience: PATIENCE,
    dispose: async () => undefined,
  }
}

/** A store that tells each listener of its changes in a later microtask. */
function noticesTarget(defect: Defect): InvalidationBusTarget {
  const held = new Set<string>()
  const listeners = new Set<BusListener>()
  const tell = async (keys: readonly string[] | undefined): Promise<void> => {
    queueMicrotask(() => {
      for (const listener of listeners) listener.changed(keys)
    })
  }
  const set = (key: string) => {
    held.add(key)
    return tell([key])
  }
  const remove = async (key: string) => {
    if (held.delete(key)) await tell([key])
  }
  const open: InvalidationBus['open'] = (own) => {
    const listener = relay(own)
    listeners.add(listener)
    listener.up()
    return {
      beat: () => new Promise((resolve) => queueMicrotask(resolve)),
      publish: () => expect.fail('never called'),
      close: async () => void listeners.delete(listener),
    }
  }
  return {
    bus: () => defective({ name: 'notices', kind: 'notices', open }, defect),
    store: {
      prefix: 'p:',
      set,
      delete: remove,
      setBriefly: async (key) => {
        await set(key)
        setTimeout(() => remove(key), 5)
      },
      flush: () => tell(undefined),
    },
    patience: PATIENCE,
    dispose: async () => undefined,
  }
}

function checksOf(kind: 'messages' | 'notices', defect: Defect): Checks {
  const target = kind === 'messages' ? messagesTarget : noticesTarget
  const checks = new Map<string, () => Promise<void>>()
  busConformance({
    name: 'defective',
    kind,
    cuts: kind === 'messages',
    create: async () => target(defect),
    describe: (_, body) => body(),
    it: (sentence, body) => checks.set(sentence, body),
  })
  return checks
}

const sound: Defect = (open) => open

/** A listener that tells another, and differs in this. */
function relay(listener: BusListener, wrong: Partial<BusListener> = {}): BusListener {
  return {
    message: (text) => listener.message(text),
    changed: (keys) => listener.changed(keys),
    up: () => listener.up(),
    down: () => listener.down(),
    ...wrong,
  }
}

const quiet = () => undefined
const nobody: BusListener = { message: quiet, changed: quiet, up: quiet, down: quiet }

/** A defect of the listener: what it is told is changed on its way. */
const telling =
  (wrong: (listener: BusListener) => Partial<BusListener>): Defect =>
  (open) =>
  (listener, cache) =>
    open(relay(listener, wrong(listener)), cache)

/** A defect of the session. */
const session =
  (wrong: (session: BusSession, listener: BusListener) => Partial<BusSession>): Defect =>
  (open) =>
  (listener, cache) => {
    const own = open(listener, cache)
    return { ...own, ...wrong(own, listener) }
  }

const changing = (change: (text: string) => string): Defect =>
  session(({ publish }) => ({ publish: (text) => publish(change(text)) }))

const MESSAGES: readonly (readonly [string, string, Defect])[] = [
  ['has no name', 'it has a name, and is of the kind that it says', () => ({ name: '' })],
  [
    'never says that it listens',
    'up is told once it listens, once, and before anything else',
    telling(() => ({ up: () => undefined })),
  ],
  [
    'says twice that it listens',
    'up is told once it listens, once, and before anything else',
    telling((listener) => ({
      up: () => {
        listener.up()
        listener.up()
      },
    })),
  ],
  [
    'says that it listens after the first message',
    'up is told once it listens, once, and before anything else',
    telling((listener) => {
      let first = true
      return {
        up: quiet,
        message: (text) => {
          listener.message(text)
          if (first) listener.up()
          first = false
        },
      }
    }),
  ],
  [
    'says that it listens before it does',
    'whatever is said after up is told',
    (open) => (listener, cache) => {
      listener.up()
      const sessions = [open(nobody, cache)]
      setTimeout(() => sessions.push(open(relay(listener, { up: quiet }), cache)), 20)
      const close = async () => {
        for (const each of sessions) await each.close()
      }
      return { ...sessions[0], close } as BusSession
    },
  ],
  [
    'tells only the session that was opened last',
    'several sessions of one bus are each told everything',
    (open) => {
      let last: BusListener | undefined
      return (listener, cache) => {
        last = listener
        const message = (text: string) => void (listener === last && listener.message(text))
        return open(relay(listener, { message }), cache)
      }
    },
  ],
  [
    'answers beats at once',
    'a beat answers after all that was said before it',
    (open) => (listener, cache) => {
      const message = (text: string) => void setTimeout(() => listener.message(text), 3)
      const own = open(relay(listener, { message }), cache)
      return { ...own, beat: async () => undefined }
    },
  ],
  [
    'answers one beat at a time',
    'beats at the same time are all answered, and tell the listener nothing',
    session(({ beat }) => {
      let beating = false
      return {
        beat: async () => {
          if (beating) return new Promise<void>(() => undefined)
          beating = true
          await beat()
          beating = false
        },
      }
    }),
  ],
  [
    'lets the listener hear its beats',
    'beats at the same time are all answered, and tell the listener nothing',
    session(({ beat, publish }) => ({
      beat: async () => {
        await publish('beat')
        await beat()
      },
    })),
  ],
  [
    'does not say whether a message went out',
    'publish resolves true, and the message reaches every listener, the publisher’s own included',
    session(({ publish }) => ({ publish: async (text) => (await publish(text)) && false })),
  ],
  [
    'does not hear itself',
    'publish resolves true, and the message reaches every listener, the publisher’s own included',
    (open) => (listener, cache) => {
      const sent = new Set<string>()
      const message = (text: string) => void (sent.has(text) || listener.message(text))
      const own = open(relay(listener, { message }), cache)
      return { ...own, publish: (text) => own.publish(String(sent.add(text) && text)) }
    },
  ],
  [
    'turns the order of two messages round',
    'the messages of one publisher come once and in order, also when it does not wait',
    session(({ publish }) => {
      let kept: string | undefined
      return {
        publish: async (text) => {
          if (kept === undefined) {
            kept = text
            setTimeout(() => kept !== undefined && publish(kept), 20)
            return true
          }
          const first = kept
          kept = undefined
          return (await publish(text)) && publish(first)
        },
      }
    }),
  ],
  [
    'sends everything twice',
    'the messages of one publisher come once and in order, also when it does not wait',
    session(({ publish }) => ({ publish: async (t) => (await publish(t)) && publish(t) })),
  ],
  [
    'has one channel for all',
    'caches of different names do not hear each other, on one bus and on two',
    (open) => (listener) => open(listener, { name: 'all' }),
  ],
  [
    'cuts texts at a NUL',
    'texts come as they are, whatever they are made of',
    changing((text) => text.split('\0')[0] ?? ''),
  ],
  [
    'takes texts for Latin-1',
    'texts come as they are, whatever they are made of',
    changing((text) => Buffer.from(text, 'latin1').toString('latin1')),
  ],
  [
    'trims texts',
    'texts come as they are, whatever they are made of',
    changing((text) => text.trim()),
  ],
  [
    'cuts texts at 64 KB',
    'a text of a megabyte comes whole',
    changing((text) => text.slice(0, 65_536)),
  ],
  [
    'loses one message of a thousand',
    'of 10,000 messages in a row all come, or down is told',
    telling((listener) => {
      let count = 0
      return { message: (text) => ++count % 1000 === 0 || listener.message(text) }
    }),
  ],
  [
    'tells only what it has published itself',
    'what a stranger publishes is told too',
    (open) => (listener, cache) => open(listener, { name: `own ${cache.name}` }),
  ],
  [
    'goes on telling after close',
    'nothing is told after the call of close, and others go on',
    session(() => ({ close: async () => undefined })),
  ],
  [
    'closes in a later turn',
    'nothing is told after the call of close, and others go on',
    session(({ close }) => ({
      close: () => new Promise((resolve) => setTimeout(() => resolve(close()), 1)),
    })),
  ],
  [
    'closes all sessions with one',
    'nothing is told after the call of close, and others go on',
    (open) => {
      const all: BusSession[] = []
      return (listener, cache) => {
        const own = open(listener, cache)
        all.push(own)
        return { ...own, close: async () => void all.map((each) => each.close()) }
      }
    },
  ],
  [
    'refuses to be closed twice',
    'close may be called again, at once and later',
    session(({ close }) => {
      let closed = false
      return {
        close: async () => {
          if (closed) throw new AssertionError({ message: 'closed' })
          closed = true
          await close()
        },
      }
    }),
  ],
  [
    'says that it listens although it was closed',
    'close may be called before it listens',
    (open) => (listener, cache) => {
      setTimeout(() => listener.up(), 5)
      const own = open(relay(listener, { up: quiet }), cache)
      return { ...own, close: () => new Promise((resolve) => setTimeout(resolve, 10)) }
    },
  ],
  [
    'publishes after close',
    'what is published after close does not go out',
    (open) => (listener, cache) => {
      const sender = open(nobody, cache)
      return { ...open(listener, cache), publish: (text) => sender.publish(text) }
    },
  ],
  [
    'cannot be opened again',
    'a bus may be opened again after all its sessions were closed',
    (open) => {
      let ended = false
      return (listener, cache) => {
        const up = () => void (ended || listener.up())
        const own = open(relay(listener, { up }), cache)
        return {
          ...own,
          close: async () => {
            ended = true
            await own.close()
          },
        }
      }
    },
  ],
  [
    'does not tell that it was cut',
    'a cut is told by down, its end by up, and news flow again',
    telling(() => ({ down: () => undefined })),
  ],
  [
    'answers beats while it is cut',
    'a beat that was cut does not answer',
    session(({ beat }) => ({ beat: () => beat().catch(() => undefined) })),
  ],
  [
    'tells of the end of a cut after close',
    'closing while it is cut ends it',
    session((_, listener) => ({
      close: async () => {
        listener.up()
      },
    })),
  ],
]

/** Leaves out some notices. */
const hiding = (hides: (keys: readonly string[] | undefined, count: number) => boolean): Defect =>
  telling((listener) => {
    let count = 0
    return { changed: (keys) => hides(keys, ++count) || listener.changed(keys) }
  })

const NOTICES: readonly (readonly [string, string, Defect])[] = [
  [
    'is of another kind',
    'it has a name, and is of the kind that it says',
    () => ({ kind: 'messages' }),
  ],
  [
    'tells of a key once only',
    'a key that somebody writes is told, over nothing and over a value',
    telling((listener) => {
      const told = new Set<string>()
      return {
        changed: (keys) => {
          if (keys?.every((key) => told.has(key)) === true) return
          for (const key of keys ?? []) told.add(key)
          listener.changed(keys)
        },
      }
    }),
  ],
  [
    'joins keys by commas',
    'a key that somebody writes is told, over nothing and over a value',
    telling((listener) => ({ changed: (keys) => listener.changed(keys?.join().split(',')) })),
  ],
  [
    'does not tell of deletes',
    'a key that somebody deletes is told',
    hiding((keys) => keys?.[0]?.endsWith('deleted') === true),
  ],
  [
    'does not tell of expiries',
    'a key that expires is told',
    hiding((keys, count) => keys?.[0]?.endsWith('expires') === true && count > 1),
  ],
  [
    'tells of a flush as of no key',
    'a flush is told as a change of any key',
    telling((listener) => ({ changed: (keys) => listener.changed(keys ?? []) })),
  ],
  [
    'tells keys that nobody changed',
    'only keys are told, each as its writer called it',
    telling((listener) => ({
      changed: (keys) => listener.changed(keys?.flatMap((key) => [key, `${key}2`])),
    })),
  ],
]

describe('the conformance suite of InvalidationBus', () => {
  it.each(['messages', 'notices'] as const)(
    'finds nothing wrong with a sound bus of %s',
    async (kind) => {
      for (const check of checksOf(kind, sound).values()) await check()
    },
  )

  it.each(MESSAGES)('tells of a bus of messages that %s', async (_, sentence, defect) => {
    const check = checksOf('messages', defect).get(sentence)
    await expect(check?.()).rejects.toThrow(AssertionError)
  })

  it.each(NOTICES)('tells of a bus of notices that %s', async (_, sentence, defect) => {
    const check = checksOf('notices', defect).get(sentence)
    await expect(check?.()).rejects.toThrow(AssertionError)
  })

  it('has a defect for each of its promises', () => {
    const all = [...checksOf('messages', sound).keys(), ...checksOf('notices', sound).keys()]
    const found = new Set([...MESSAGES, ...NOTICES].map(([, sentence]) => sentence))
    expect([...new Set(all)].filter((sentence) => !found.has(sentence))).toEqual([])
  })
})
