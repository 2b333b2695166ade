import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { LeaseRead, RemoteLeases, RemoteStore } from '../../../src/remote/remote-store.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { type MemoryRemote, memoryRemote } from '../../../src/testing/memory-remote.ts'
import { remoteStoreConformance } from '../../../src/testing/remote-conformance.ts'

/** Replaces operations of a sound store by wrong ones. */
type Defect = (sound: MemoryRemote, channels: EventEmitter) => Partial<RemoteStore>

/** Runs the suite on a store with this defect; returns the sentences that do not hold. */
async function brokenPromises(defect: Defect): Promise<string[]> {
  const checks: [string, () => Promise<void>][] = []
  remoteStoreConformance({
    name: 'defective',
    endlessLives: true,
    leases: true,
    announcements: true,
    shortens: true,
    touches: true,
    create: async () => {
      const clock = manualClock()
      const channels = new EventEmitter()
      const announce = (channel: string, text: string) => void channels.emit(channel, text)
      const sound = memoryRemote({ clock, announce })
      const wrong = defect(sound, channels)
      const store = new Proxy<RemoteStore>(sound, {
        get(target, name) {
          const own: unknown = Reflect.get(wrong, name) ?? Reflect.get(target, name)
          return typeof own === 'function' ? own.bind(target) : own
        },
      })
      return {
        store,
        advance: (ms) => clock.advance(ms),
        listen: async (channel, hear) => void channels.on(channel, hear),
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

/** Replaces operations of sound leases; it is told who was granted the lease of a key last. */
function leasesWith(
  { leases }: MemoryRemote,
  defect: (lastToken: (key: string) => string) => Partial<RemoteLeases>,
): RemoteLeases {
  const tokens = new Map<string, string>()
  const wrong = defect((key) => tokens.get(key) ?? 'nobody.0')
  const read = (wrong.read ?? leases.read).bind(leases)
  const take = (wrong.take ?? leases.take).bind(leases)
  return {
    renew: leases.renew.bind(leases),
    release: leases.release.bind(leases),
    fill: leases.fill.bind(leases),
    touch: leases.touch.bind(leases),
    ...wrong,
    read: async (keys, token, life) => {
      const answers = await read(keys, token, life)
      for (const [i, { kind }] of answers.entries()) {
        if (kind === 'granted') tokens.set(keys[i] ?? '', token)
      }
      return answers
    },
    take: async (key, token, life) => {
      const held = await take(key, token, life)
      if (held === undefined) tokens.set(key, token)
      return held
    },
  }
}

/** A store whose operation leaves the leases of its keys as they were. */
function sparing<Name extends 'set' | 'delete' | 'compareAndDelete' | 'shorten'>(
  name: Name,
  spared: (...args: Parameters<MemoryRemote[Name]>) => boolean = () => true,
): Defect {
  return (sound) => {
    let tokenOf: (key: string) => string = () => ''
    const leases = leasesWith(sound, (lastToken) => {
      tokenOf = lastToken
      return {}
    })
    const operation = async (...args: Parameters<MemoryRemote[Name]>) => {
      const keys = [args[0]].flat()
      const held = await Promise.all(
        keys.map((key) => sound.leases.renew(key, tokenOf(key), 60_000)),
      )
      const answer = await (sound[name] as (...all: unknown[]) => Promise<unknown>)(...args)
      for (const [i, key] of keys.entries()) {
        if (held[i] === true && spared(...args)) await sound.leases.take(key, tokenOf(key), 60_000)
      }
      return answer
    }
    return { leases, [name]: operation }
  }
}

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
    'grants a lease to each reader',
    'of 20 who read an absent key one is granted its lease; the others learn whose it is, and for how long',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        read: async (keys) =>
          keys.map((key): LeaseRead => {
            const read = sound.peek(key)
            return read === undefined ? { kind: 'granted' } : { kind: 'value', read }
          }),
      })),
    }),
  ],
  [
    'grants a lease to each taker',
    'of 20 who take the lease of a key that holds something, one is granted it',
    (sound) => ({ leases: leasesWith(sound, () => ({ take: async () => undefined })) }),
  ],
  [
    'takes the leases of values too',
    'a key that holds something is read with its life, and no lease of it is taken',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        read: async (keys, token, life) => {
          for (const key of keys) await sound.leases.take(key, token, life)
          return sound.leases.read(keys, token, life)
        },
      })),
    }),
  ],
  [
    'reads a key once that is asked for twice, with its lease',
    'a read of many keys answers once per key, in order, duplicates included',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        read: (keys, token, life) => sound.leases.read([...new Set(keys)], token, life),
      })),
    }),
  ],
  [
    'counts a lease as an entry',
    'a lease is no entry: its key reads as absent, and is set and deleted as such',
    (sound) => ({
      delete: async (keys, how) => {
        await sound.delete(keys, how)
        return keys.length
      },
    }),
  ],
  [
    'keeps a lease that was used',
    'a fill takes under its lease, once, and ends it',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: async (key, token, write) => {
          const outcome = await sound.leases.fill(key, token, write)
          if (outcome === 'took') await sound.leases.take(key, token, 60_000)
          return outcome
        },
      })),
    }),
  ],
  [
    'fills without comparing',
    'a fill replaces exactly what is expected; one that is refused ends its lease too',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: async (key, token, { bytes, ttl }) => {
          if (!(await sound.leases.renew(key, token, 1000))) return 'lost'
          await sound.set(key, bytes, { ttl })
          return 'took'
        },
      })),
    }),
  ],
  [
    'fills nothing where an empty value is expected',
    'a fill tells an empty value from none',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: (key, token, write) => {
          const expected = write.expected?.length === 0 ? undefined : write.expected
          return sound.leases.fill(key, token, { ...write, expected })
        },
      })),
    }),
  ],
  [
    'leaves the lease where it sets',
    'a set voids the lease: its fill is lost',
    sparing('set', (_, __, { when }) => when === undefined),
  ],
  [
    'leaves the lease where it sets what is absent',
    'a set if absent voids the lease: its fill is lost',
    sparing('set', (_, __, { when }) => when === 'absent'),
  ],
  [
    'leaves the lease where it deletes one key',
    'a delete voids the lease: its fill is lost',
    sparing('delete', (keys) => keys.length === 1),
  ],
  [
    'leaves the leases where it deletes several keys',
    'a delete of several voids the lease: its fill is lost',
    sparing('delete', (keys) => keys.length > 1),
  ],
  [
    'leaves the lease where it compares and deletes',
    'a compareAndDelete voids the lease: its fill is lost',
    sparing('compareAndDelete'),
  ],
  [
    'voids the lease although a set did not take',
    'a change that does not take voids nothing',
    (sound) => {
      let tokenOf: (key: string) => string = () => ''
      const leases = leasesWith(sound, (lastToken) => {
        tokenOf = lastToken
        return {}
      })
      return {
        leases,
        set: async (key, bytes, how) => {
          const took = await sound.set(key, bytes, how)
          if (!took) await sound.leases.release(key, tokenOf(key))
          return took
        },
      }
    },
  ],
  [
    'releases a lease for everybody',
    'a lease that is released is granted to the next, and only its holder releases it',
    (sound) => ({
      leases: leasesWith(sound, (lastToken) => ({
        release: (key, _, wake) => sound.leases.release(key, lastToken(key), wake),
      })),
    }),
  ],
  [
    'lets the earlier token of an owner go on',
    'an owner who asks again has the lease by the later token, and by that alone',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: (key, token, write) =>
          sound.leases.fill(key, token.replace(/[0-8]$/, '9').replace('.9', '.10'), write),
      })),
    }),
  ],
  [
    'takes an owner to be what stands before the first dot',
    'owners whose names begin alike are different owners',
    (sound) => {
      const cut = (token: string) => token.replace(/\./, ' ').replaceAll('.', '-').replace(' ', '.')
      return {
        leases: leasesWith(sound, () => ({
          read: (keys, token, life) => sound.leases.read(keys, cut(token), life),
          take: (key, token, life) => sound.leases.take(key, cut(token), life),
        })),
      }
    },
  ],
  [
    'gives leases a longer life',
    'a lease ends by itself when its life is over, unless its holder renews it',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        renew: (key, token, life) => sound.leases.renew(key, token, life * 100),
      })),
    }),
  ],
  [
    'fills under a lease that has expired',
    'what the holder asks of a lease that is over is refused, also if nobody took it since',
    (sound) => ({
      leases: leasesWith(sound, (lastToken) => ({
        fill: async (key, token, write) => {
          if (lastToken(key) === token) await sound.leases.take(key, token, 1000)
          return sound.leases.fill(key, token, write)
        },
      })),
    }),
  ],
  [
    'compares a fill with values that have expired',
    'a value whose life is over counts as nothing',
    (sound) => {
      const last = new Map<string, Uint8Array>()
      return {
        set: (key, bytes, how) => {
          last.set(key, Uint8Array.from(bytes))
          return sound.set(key, bytes, how)
        },
        leases: leasesWith(sound, () => ({
          fill: async (key, token, write) =>
            same(last.get(key), write.expected) && sound.peek(key) === undefined
              ? sound.leases.fill(key, token, { ...write, expected: undefined })
              : sound.leases.fill(key, token, write),
        })),
      }
    },
  ],
  [
    'takes the bytes of a fill in a later turn',
    'what a fill was called with may be changed at once',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: async (key, token, write) => {
          await undefined
          return sound.leases.fill(key, token, write)
        },
      })),
    }),
  ],
  [
    'announces sets that did not take',
    'a set announces if it takes',
    (sound, channels) => ({
      set: async (key, bytes, { announce, ...how }) => {
        const took = await sound.set(key, bytes, how)
        if (announce !== undefined) channels.emit(announce.channel, announce.text)
        return took
      },
    }),
  ],
  [
    'announces deletes of what was there only',
    'a delete announces whether or not there was something',
    (sound, channels) => ({
      delete: async (keys, how) => {
        const held = await sound.delete(keys)
        const { announce } = how ?? {}
        // What ends a round of hearing is said all the same.
        if (announce !== undefined && (held > 0 || announce.text.startsWith('end'))) {
          channels.emit(announce.channel, announce.text)
        }
        return held
      },
    }),
  ],
  [
    'announces a compareAndDelete that did not take',
    'a compareAndDelete announces if it takes',
    (sound, channels) => ({
      compareAndDelete: async (key, expected, how) => {
        const took = await sound.compareAndDelete(key, expected)
        if (how?.announce !== undefined) channels.emit(how.announce.channel, how.announce.text)
        return took
      },
    }),
  ],
  [
    'announces fills that were refused',
    'a fill announces if it takes',
    (sound, channels) => ({
      leases: leasesWith(sound, () => ({
        fill: async (key, token, write) => {
          const outcome = await sound.leases.fill(key, token, write)
          const { announce } = write
          if (outcome === 'refused' && announce !== undefined) {
            channels.emit(announce.channel, announce.text)
          }
          return outcome
        },
      })),
    }),
  ],
  [
    'trims what it announces',
    'any text arrives as it is',
    (sound) => ({
      delete: (keys, how) => {
        const { announce } = how ?? {}
        return sound.delete(keys, {
          announce: announce && { ...announce, text: announce.text.trim() },
        })
      },
    }),
  ],
  [
    'announces a set before it has taken',
    'whoever hears of a change can read it',
    (sound, channels) => ({
      set: async (key, bytes, { announce, ...how }) => {
        const taken = Uint8Array.from(bytes)
        if (announce !== undefined) channels.emit(announce.channel, announce.text)
        await undefined
        return sound.set(key, taken, how)
      },
    }),
  ],
  [
    'wakes also where nobody waits',
    'a release wakes those who have found the lease held, and says nothing if there are none',
    (sound, channels) => ({
      leases: leasesWith(sound, () => ({
        release: async (key, token, wake) => {
          const released = await sound.leases.release(key, token)
          if (released && wake !== undefined) channels.emit(wake.channel, wake.text)
          return released
        },
      })),
    }),
  ],
  [
    'wakes nobody when a fill is refused',
    'a fill wakes those who have found the lease held, whether it takes or is refused',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        fill: (key, token, write) =>
          sound.leases.fill(
            key,
            token,
            same(sound.peek(key)?.bytes, write.expected) ? write : { ...write, wake: undefined },
          ),
      })),
    }),
  ],
  [
    'forgets with a renewal who waits',
    'who waits is remembered through a renewal, and when the owner asks again',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        renew: async (key, token, life) => {
          if (!(await sound.leases.release(key, token))) return false
          return (await sound.leases.take(key, token, life)) === undefined
        },
      })),
    }),
  ],
  [
    'shortens lives to twice what was said',
    'shorten lets a value live as long as it says, and not longer',
    (sound) => ({ shorten: (key, left, how) => sound.shorten(key, 2 * left, how) }),
  ],
  [
    'lengthens a life that ends sooner',
    'shorten leaves a life alone that ends sooner',
    (sound) => ({
      shorten: async (key, left) => {
        const held = sound.peek(key)
        if (held !== undefined) sound.plant(key, held.bytes, left)
        return held !== undefined
      },
    }),
  ],
  [
    'shortens lives to what 32 bits hold',
    'shorten knows lives beyond 2^31 ms, and one of 1 ms',
    (sound) => ({ shorten: (key, left, how) => sound.shorten(key, left | 0, how) }),
  ],
  [
    'takes each value of one byte for a placeholder',
    'shorten leaves the bytes as they are, whichever they are',
    (sound) => ({
      shorten: async (key, left, how) => {
        if (sound.peek(key)?.bytes.length === 1) await sound.delete([key])
        return sound.shorten(key, left, how)
      },
    }),
  ],
  [
    'keeps the placeholder',
    'shorten deletes the byte that says that there is nothing, and resolves false',
    (sound) => ({
      shorten: async (key, left, how) => {
        const held = sound.peek(key)
        const isKept = await sound.shorten(key, left, how)
        if (held !== undefined) sound.plant(key, held.bytes, Math.min(left, held.ttlLeft))
        return isKept
      },
    }),
  ],
  [
    'says that it has shortened whatever it was asked to',
    'shorten resolves false where nothing is held, and leaves it at that',
    (sound) => ({
      shorten: async (key, left, how) => {
        await sound.shorten(key, left, how)
        return true
      },
    }),
  ],
  [
    'keeps a key to the life that it was shortened to',
    'a write over a value that was to end soon gives it a life of its own',
    (sound) => {
      const short = new Set<string>()
      return {
        shorten: (key, left, how) => {
          short.add(key)
          return sound.shorten(key, left, how)
        },
        set: (key, bytes, how) => {
          const ttl = short.has(key) ? (sound.peek(key)?.ttlLeft ?? how.ttl) : how.ttl
          return sound.set(key, bytes, { ...how, ttl })
        },
      }
    },
  ],
  [
    'shortens no life that has no end',
    'shorten gives a life to a value without expiry',
    (sound) => ({
      shorten: async (key, left, how) =>
        sound.peek(key)?.ttlLeft === Infinity || sound.shorten(key, left, how),
    }),
  ],
  [
    'leaves the lease where it shortens',
    'a shorten voids the lease, whatever the key holds: its fill is lost',
    sparing('shorten'),
  ],
  [
    'announces what it has shortened only',
    'a shorten announces whether or not there was something',
    (sound, channels) => ({
      shorten: async (key, left, how) => {
        const isKept = await sound.shorten(key, left)
        if (isKept && how?.announce !== undefined) {
          channels.emit(how.announce.channel, how.announce.text)
        }
        return isKept
      },
    }),
  ],
  [
    'keeps a lease that a value was touched under',
    'a touch gives a value another life under its lease, once, and ends it',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: async (key, token, renewal) => {
          const outcome = await sound.leases.touch(key, token, renewal)
          if (outcome === 'took') await sound.leases.take(key, token, 60_000)
          return outcome
        },
      })),
    }),
  ],
  [
    'shortens no life by a touch',
    'a touch gives exactly the life it says, also a shorter one than before',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: (key, token, renewal) => {
          const ttl = Math.max(renewal.ttl, sound.peek(key)?.ttlLeft ?? 0)
          return sound.leases.touch(key, token, { ...renewal, ttl })
        },
      })),
    }),
  ],
  [
    'touches without comparing',
    'a touch takes on exactly what is expected; one that is refused ends its lease too',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: (key, token, renewal) => {
          const expected = sound.peek(key)?.bytes ?? renewal.expected
          return sound.leases.touch(key, token, { ...renewal, expected })
        },
      })),
    }),
  ],
  [
    'compares what it touches but for its last byte',
    'a touch compares any bytes, few and many',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: (key, token, renewal) => {
          const held = sound.peek(key)?.bytes
          const isClose = same(held?.subarray(0, -1), renewal.expected.subarray(0, -1))
          const expected = isClose && held !== undefined ? held : renewal.expected
          return sound.leases.touch(key, token, { ...renewal, expected })
        },
      })),
    }),
  ],
  [
    'brings back what it was to touch',
    'a touch brings nothing back: neither what is absent, nor what has expired or was replaced',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: (key, token, renewal) =>
          sound.peek(key) === undefined
            ? sound.leases.fill(key, token, {
                ...renewal,
                expected: undefined,
                bytes: renewal.expected,
              })
            : sound.leases.touch(key, token, renewal),
      })),
    }),
  ],
  [
    'touches under a lease that has expired',
    'a touch is lost once the lease is void, has expired or was renewed by another token',
    (sound) => ({
      leases: leasesWith(sound, (lastToken) => ({
        touch: async (key, token, renewal) => {
          if (lastToken(key) === token) await sound.leases.take(key, token, 1000)
          return sound.leases.touch(key, token, renewal)
        },
      })),
    }),
  ],
  [
    'takes the bytes that a touch expects in a later turn',
    'what a touch was called with may be changed at once',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: async (key, token, renewal) => {
          await undefined
          return sound.leases.touch(key, token, renewal)
        },
      })),
    }),
  ],
  [
    'touches no life that has no end',
    'a touch gives a life to a value without expiry',
    (sound) => ({
      leases: leasesWith(sound, () => ({
        touch: async (key, token, renewal) =>
          sound.peek(key)?.ttlLeft === Infinity ? 'took' : sound.leases.touch(key, token, renewal),
      })),
    }),
  ],
  [
    'announces touches that were refused',
    'a touch announces if it takes',
    (sound, channels) => ({
      leases: leasesWith(sound, () => ({
        touch: async (key, token, renewal) => {
          const outcome = await sound.leases.touch(key, token, renewal)
          const { announce } = renewal
          if (outcome === 'refused' && announce !== undefined) {
            channels.emit(announce.channel, announce.text)
          }
          return outcome
        },
      })),
    }),
  ],
  [
    'wakes with each touch',
    'a touch wakes those who have found the lease held, whether it takes or is refused',
    (sound, channels) => ({
      leases: leasesWith(sound, () => ({
        touch: async (key, token, { wake, ...renewal }) => {
          const outcome = await sound.leases.touch(key, token, renewal)
          if (outcome !== 'lost' && wake !== undefined) channels.emit(wake.channel, wake.text)
          return outcome
        },
      })),
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
  it('tells of leases, announcements and lives changed that nobody said are to be checked', async () => {
    const checks = new Map<string, () => Promise<void>>()
    remoteStoreConformance({
      name: 'with more than was said',
      create: async () => ({
        store: memoryRemote({ announce: () => undefined }),
        endsOnClose: true,
        dispose: async () => undefined,
      }),
      describe: (_, body) => body(),
      it: (name, body) => checks.set(name, body),
    })
    await expect(checks.get('it has none')?.()).rejects.toThrow('leases')
    await expect(checks.get('it makes none')?.()).rejects.toThrow('origin')
    await expect(checks.get('it shortens none')?.()).rejects.toThrow('shorten')
    await expect(checks.get('it renews none')?.()).rejects.toThrow('touch')
  })

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
