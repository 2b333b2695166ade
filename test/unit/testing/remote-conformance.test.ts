import { describe, expect, it } from 'vitest'
import type { RemoteStore } from '../../../src/remote/remote-store.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../../src/testing/memory-remote.ts'
import { remoteStoreConformance } from '../../../src/testing/remote-conformance.ts'

/** Replaces operations of a sound store by wrong ones. */
type Defect = (sound: MemoryRemote) => Partial<RemoteStore>

/** Runs the suite on a store with this defect; returns the sentences that do not hold. */
async function brokenPromises(defect: Defect): Promise<string[]> {
  const checks: [string, () => Promise<void>][] = []
  remoteStoreConformance({
    name: 'defective',
    endlessLives: true,
    create: async () => {
      const clock = manualClock()
      const sound = memoryRemote({ clock })
      const wrong = defect(sound)
      const store = new Proxy<RemoteStore>(sound, {
        get(target, name) {
          const own: unknown = Reflect.get(wrong, name) ?? Reflect.get(target, name)
          return typeof own === 'function' ? own.bind(target) : own
        },
      })
      return {
        store,
        advance: (ms) => clock.advance(ms),
        writeWithoutExpiry: async (key, bytes) => sound.plant(key, bytes),
        endsOnClose: true,
        dispose: async () => undefined,
      }
    },
    describe: (_, body) => body(),
    it: (name, body) => checks.push([name, body]),
  })
  const broken: string[] = []
  for (const [name, body] of checks) {
    await body().catch(() => broken.push(name))
  }
  return broken
}

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0

const DEFECTS: readonly (readonly [string, string, Defect])[] = [
  [
    'cuts values at 64 KB',
    'a value of 5 MB survives',
    (sound) => ({ set: (key, bytes, how) => sound.set(key, bytes.subarray(0, 65_536), how) }),
  ],
  [
    'keeps values as text',
    'every byte value survives, alone and in a row',
    (sound) => ({
      set: (key, bytes, how) => sound.set(key, Buffer.from(Buffer.from(bytes).toString()), how),
    }),
  ],
  [
    'takes an empty value for none',
    'an empty value is a value, not an absence',
    (sound) => ({
      get: async (key) => {
        const read = await sound.get(key)
        return read?.bytes.length === 0 ? undefined : read
      },
    }),
  ],
  [
    'stores the whole buffer that a value is a part of',
    'a value that is a part of a larger buffer is stored without its surroundings',
    (sound) => ({ set: (key, bytes, how) => sound.set(key, new Uint8Array(bytes.buffer), how) }),
  ],
  [
    'trims keys',
    'keys that differ in a space, a control character, a case or a form of Unicode are different',
    (sound) => ({
      set: (key, bytes, how) => sound.set(key.trim(), bytes, how),
      get: (key) => sound.get(key.trim()),
    }),
  ],
  [
    'cuts keys at 65,000 bytes',
    'two keys of 65,535 bytes that differ in the last one are different keys',
    (sound) => ({
      set: (key, bytes, how) => sound.set(key.slice(0, 21_600), bytes, how),
      get: (key) => sound.get(key.slice(0, 21_600)),
    }),
  ],
  [
    'refuses long keys',
    'keys of every length up to 65,535 bytes work',
    () => {
      const small = memoryRemote({ maxKeyBytes: 1978 })
      return { compareAndSet: small.compareAndSet.bind(small), get: small.get.bind(small) }
    },
  ],
  [
    'hands the same bytes to all',
    'returned bytes are the caller’s own: changing them changes nothing, nothing changes them',
    (sound) => {
      const lent = new Map<string, Uint8Array>()
      return {
        get: async (key) => {
          const read = await sound.get(key)
          if (read === undefined) return undefined
          const bytes = lent.get(key) ?? read.bytes
          lent.set(key, bytes)
          return { ...read, bytes }
        },
      }
    },
  ],
  [
    'takes the bytes in a later turn',
    'arguments may be changed as soon as the call has returned',
    (sound) => ({
      set: async (key, bytes, how) => {
        await undefined
        return sound.set(key, bytes, how)
      },
    }),
  ],
  [
    'answers once for a key asked for twice',
    'getMany answers once per key, in order, duplicates and absent keys included',
    (sound) => ({ getMany: (keys) => sound.getMany([...new Set(keys)]) }),
  ],
  [
    'counts a key deleted twice twice',
    'delete counts the keys that held something, each once',
    (sound) => ({
      delete: async (keys) => {
        const held = keys.filter((key) => sound.peek(key) !== undefined)
        await sound.delete(keys)
        return held.length
      },
    }),
  ],
  [
    'tells the whole ttl as the life left',
    'the life left starts at most at the ttl, only falls, and is the same for get and getMany',
    (sound) => ({
      get: async (key) => {
        const read = await sound.get(key)
        return read && { ...read, ttlLeft: 60_000 }
      },
    }),
  ],
  [
    'counts lives in whole seconds',
    'a value answers until its life is over and not after',
    (sound) => ({
      set: (key, bytes, { ttl, when }) =>
        sound.set(key, bytes, { ttl: Math.ceil(ttl / 1000) * 1000, when }),
    }),
  ],
  [
    'refuses a life of 1 ms',
    'a life of 1 ms is accepted and ends',
    (sound) => ({
      set: async (key, bytes, how) => {
        if (how.ttl < 10) throw new RangeError('too short')
        return sound.set(key, bytes, how)
      },
    }),
  ],
  [
    'keeps lives in 32 bits',
    'lives beyond 2^31 ms, up to ten years, are kept as they are',
    (sound) => ({
      set: (key, bytes, { ttl, when }) => sound.set(key, bytes, { ttl: ttl | 0, when }),
    }),
  ],
  [
    'never shortens a life',
    'each write gives a new life, longer or shorter than the one before',
    (sound) => ({
      set: (key, bytes, { ttl, when }) =>
        sound.set(key, bytes, { ttl: Math.max(ttl, sound.peek(key)?.ttlLeft ?? 0), when }),
    }),
  ],
  [
    'gives the new life although the write did not take',
    'a write that does not take leaves value and life alone',
    (sound) => ({
      set: async (key, bytes, { ttl, when }) => {
        const took = await sound.set(key, bytes, { ttl, when })
        const held = sound.peek(key)
        if (!took && held !== undefined) sound.plant(key, held.bytes, ttl)
        return took
      },
    }),
  ],
  [
    'compares with values that have expired',
    'an expired value counts as nothing for every operation',
    (sound) => {
      const last = new Map<string, Uint8Array>()
      return {
        set: (key, bytes, how) => {
          last.set(key, Uint8Array.from(bytes))
          return sound.set(key, bytes, how)
        },
        compareAndSet: async (key, expected, bytes, ttl) =>
          same(last.get(key), expected) && sound.set(key, bytes, { ttl }),
      }
    },
  ],
  [
    'tells -1 for a value without expiry',
    'a value written without expiry is read with an infinite life',
    (sound) => ({
      get: async (key) => {
        const read = await sound.get(key)
        return read?.ttlLeft === Infinity ? { ...read, ttlLeft: -1 } : read
      },
    }),
  ],
  [
    'keeps a value without expiry for ever',
    'a write over a value without expiry gives it a life',
    (sound) => ({
      set: (key, bytes, how) =>
        sound.set(
          key,
          bytes,
          sound.peek(key)?.ttlLeft === Infinity ? { ...how, ttl: Infinity } : how,
        ),
    }),
  ],
  [
    'ignores conditions of set',
    'set when absent takes only where nothing is held',
    (sound) => ({ set: (key, bytes, { ttl }) => sound.set(key, bytes, { ttl }) }),
  ],
  [
    'sets when present on an absent key',
    'set when present takes only where something is held, an empty value included',
    (sound) => ({
      set: (key, bytes, { ttl, when }) =>
        sound.set(key, bytes, { ttl, when: when === 'present' ? undefined : when }),
    }),
  ],
  [
    'compares as far as the expected bytes go',
    'compareAndSet takes on exactly the expected bytes: not on more, fewer, others or none',
    (sound) => ({
      compareAndSet: async (key, expected, bytes, ttl) => {
        const held = sound.peek(key)?.bytes
        return same(held?.subarray(0, expected?.length), expected)
          ? sound.set(key, bytes, { ttl })
          : false
      },
    }),
  ],
  [
    'takes empty expected bytes for none',
    'compareAndSet tells an empty value from none',
    (sound) => ({
      compareAndSet: (key, expected, bytes, ttl) =>
        sound.compareAndSet(key, expected?.length === 0 ? undefined : expected, bytes, ttl),
    }),
  ],
  [
    'deletes without comparing',
    'compareAndDelete deletes exactly the expected bytes',
    (sound) => ({ compareAndDelete: async (key) => (await sound.delete([key])) === 1 }),
  ],
  [
    'resolves a delete before it took',
    'operations that follow one another take effect in order',
    (sound) => ({
      delete: async (keys) => {
        const later = Promise.resolve().then(() => Promise.resolve())
        void later.then(() => sound.delete(keys)).catch(() => 0)
        return keys.length
      },
    }),
  ],
  [
    'reads, then writes, in two turns',
    'of 50 callers who write an absent key at once, exactly one is told that it took',
    (sound) => ({
      compareAndSet: async (key, expected, bytes, ttl) => {
        const held = await sound.get(key)
        return same(held?.bytes, expected) && sound.set(key, bytes, { ttl })
      },
    }),
  ],
  [
    'compares and deletes in two turns',
    'of 50 callers who replace or delete the same bytes at once, exactly one succeeds',
    (sound) => ({
      compareAndDelete: async (key, expected) => {
        const held = await sound.get(key)
        return same(held?.bytes, expected)
      },
    }),
  ],
  [
    'says that a compareAndSet took whether it did or not',
    'no update is lost when 10 callers read, add one and compare at once',
    (sound) => ({
      compareAndSet: async (key, expected, bytes, ttl) => {
        await sound.compareAndSet(key, expected, bytes, ttl)
        return true
      },
    }),
  ],
  [
    'rejects a ping',
    'it has a name, and answers a ping',
    () => ({ ping: () => Promise.reject(new Error('no')) }),
  ],
  [
    'stops at the first close',
    'it works until each open has had its close',
    (sound) => ({
      close: async () => {
        await sound.close()
        await sound.close()
      },
    }),
  ],
  [
    'answers after the last close',
    'every operation settles after the last close; it rejects if the store ended its own work',
    () => ({ close: async () => undefined }),
  ],
  [
    'can be opened once',
    'it works again when it is opened again',
    (sound) => {
      let opened = 0
      return {
        open: () => {
          if (++opened === 1) sound.open()
        },
      }
    },
  ],
]

describe('the conformance suite of RemoteStore', () => {
  it('finds nothing wrong with a sound store', async () => {
    expect(await brokenPromises(() => ({}))).toEqual([])
  })

  it.each(DEFECTS)('tells of a store that %s', async (_, sentence, defect) => {
    expect(await brokenPromises(defect)).toContain(sentence)
  })

  it('has a defect for each of its promises but these', async () => {
    const all = await brokenPromises((sound) => {
      sound.open = () => {
        throw new Error('never opens')
      }
      return {}
    })
    const found = new Set(DEFECTS.map(([, sentence]) => sentence))
    expect(all.filter((sentence) => !found.has(sentence))).toEqual([
      'a key never written reads as absent',
      'lists may be empty, and may be long',
      'set resolves true without a condition, on an absent key and on a present one',
    ])
  })
})
