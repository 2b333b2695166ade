import type { Codec } from '../codec/codec.ts'
import type { Change, Flights } from '../flight/flights.ts'
import type { Waiters } from '../flight/waiters.ts'
import type { RemovalCause } from '../local/local-store.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheEncodeError } from '../model/errors.ts'
import type { Lives, TierStack } from '../tiers/tier-stack.ts'
import { FORMED_NOT_FOUND, type Formed } from '../tiers/value-form.ts'

/** What one call of `set` asks for, validated. At least one tier is left to write. */
export interface SetCall extends Lives {
  readonly skipLocal: boolean
  readonly skipRemote: boolean
  readonly when: 'absent' | 'present' | undefined
  /** `undefined`: the cache's. */
  readonly codec: Codec | undefined
}

/** A load as far as a change of its key touches it. */
interface Outdated {
  readonly lease: { end(): void; release(): void } | undefined
}

/** Changing what the tiers hold. Every change is made known to the flights of its key. */
export class WritePath {
  readonly #stack: TierStack
  readonly #flights: Flights<Outdated, unknown>
  readonly #waiters: Waiters
  readonly #changed: (key: string) => void

  /** @param changed Tells other processes, where the remote tier does not. */
  constructor(
    stack: TierStack,
    flights: Flights<Outdated, unknown>,
    waiters: Waiters,
    changed: (key: string) => void,
  ) {
    this.#stack = stack
    this.#flights = flights
    this.#waiters = waiters
    this.#changed = changed
  }

  /**
   * Stores a value, or the placeholder for `null`. Resolves whether it took, which it always does
   * without `when`.
   *
   * @throws CacheEncodeError
   * @throws CacheRemoteError: the remote did not take it, or nobody knows; local is left without it.
   */
  async set(key: string, value: unknown, call: SetCall): Promise<boolean> {
    const formed = this.#formed(key, value, call.codec)
    const outdated = this.#flights.load(key)
    const change = this.#flights.change(key)
    let voided = false
    try {
      const remote = call.skipRemote ? undefined : this.#stack.remote
      if (remote === undefined) return this.#setLocally(key, formed, call, change)
      voided = await this.#stack.write(remote, key, formed, call, call.when, change)
      return voided
    } finally {
      giveUpLease(outdated, voided)
      change.settle()
      this.#waiters.wake(key)
    }
  }

  /**
   * Deletes from both tiers. Resolves whether the remote held the key (without one: local).
   *
   * @throws CacheRemoteError: the remote did not delete it, or nobody knows.
   */
  async delete(key: string): Promise<boolean> {
    const outdated = this.#flights.load(key)
    const change = this.#flights.change(key)
    let voided = false
    try {
      const held = this.#stack.local?.delete(key, 'deleted') ?? false
      const remote = this.#stack.remote
      if (remote === undefined) {
        this.#changed(key)
        return held
      }
      const erased = await this.#stack.erase(remote, key)
      voided = true
      return erased
    } finally {
      giveUpLease(outdated, voided)
      change.settle()
      this.#waiters.wake(key)
    }
  }

  /**
   * Ends the freshness of a key in both tiers; what no stale permission keeps is deleted. Resolves whether
   * the remote (without one: local) held a value.
   *
   * @throws CacheRemoteError: the remote did not do it, or nobody knows; local is left without it.
   */
  async expire(key: string): Promise<boolean> {
    const outdated = this.#flights.load(key)
    const change = this.#flights.change(key)
    const { local, remote } = this.#stack
    let voided = false
    try {
      const entry = local?.kept(key)
      this.#stack.expireLocally(key)
      if (remote === undefined) {
        this.#changed(key)
        return entry !== undefined && entry.kept !== NOT_FOUND
      }
      const held = await this.#stack.expire(remote, key)
      voided = true
      return held
    } finally {
      // Beside another change nobody knows which came last.
      if ((remote !== undefined && !voided) || !change.alone()) local?.delete(key)
      giveUpLease(outdated, voided)
      change.settle()
      this.#waiters.wake(key)
    }
  }

  /** Drops the local copy; what is on its way into local is not stored. */
  deleteLocal(key: string): boolean {
    this.#flights.fence(key)
    return this.#stack.local?.delete(key, 'deleted') ?? false
  }

  /** Drops all local copies; what is on its way into local is not stored. */
  clearLocal(cause: RemovalCause): void {
    this.#flights.fenceAll()
    this.#stack.local?.clear(cause)
  }

  #formed(key: string, value: unknown, codec: Codec | undefined): Formed {
    if (value === null) return FORMED_NOT_FOUND
    const form = this.#stack.forms.of(codec)
    const formed = form.form(key, value)
    if (!formed.reserved) return formed
    throw new CacheEncodeError(
      form.codecName,
      '$',
      'its bytes would read back as "not found". Store it inside an object, or with another codec',
      { key },
    )
  }

  /** In the very turn of the call: nothing can have come in between. */
  #setLocally(key: string, formed: Formed, call: SetCall, change: Change): boolean {
    const present = this.#stack.local?.isFresh(key) === true
    if (call.when !== undefined && (call.when === 'present') !== present) return false
    // A deletion that is under way came first, and may take effect after it.
    if (change.alone()) this.#stack.writeLocally(key, formed.kept, call)
    else this.#stack.local?.delete(key)
    if (this.#stack.remote === undefined) this.#changed(key)
    return true
  }
}

/**
 * A load whose epoch has ended stores nothing, and needs its lease no more.
 *
 * @param voided The change has taken it away.
 */
function giveUpLease(outdated: Outdated | undefined, voided: boolean): void {
  if (voided) outdated?.lease?.end()
  else outdated?.lease?.release()
}
