import type { Codec } from '../codec/codec.ts'
import { decodeBody, decodePayload, encodePayload, PLACEHOLDER_BYTES } from '../codec/payload.ts'
import { isPrimitive, type Keeper } from '../local/keeper.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { CacheEncodeError } from '../model/errors.ts'

/** A value ready to be stored. */
export interface Formed {
  /** As the local tier keeps it and as callers are given it from. */
  readonly kept: unknown
  /** As the remote tier holds it; `undefined` where values never become bytes. */
  readonly bytes: Uint8Array | undefined
  /** Whether its bytes would read back as "not found", so that it must not be stored. */
  readonly reserved: boolean
}

/** The form of "not found", the same for every codec. */
export const FORMED_NOT_FOUND: Formed = {
  kept: NOT_FOUND,
  bytes: PLACEHOLDER_BYTES,
  reserved: false,
}

/**
 * The one shape that a value has, whichever tier it comes from (promise P4): a loaded value goes
 * through the codec once, so that its loader's caller, a local hit and a remote hit get the same.
 * Without a codec (a local tier alone that shares or copies by itself) the value is its own shape.
 */
export class ValueForm {
  readonly #codec: Codec | undefined
  readonly #keeper: Keeper
  readonly #copy: ((value: unknown) => unknown) | undefined

  /**
   * @param codec `undefined`: values never become bytes.
   * @param copy Takes a caller's value into keeping where there is no codec.
   */
  constructor(
    codec: Codec | undefined,
    keeper: Keeper,
    copy: ((value: unknown) => unknown) | undefined,
  ) {
    this.#codec = codec
    this.#keeper = keeper
    this.#copy = copy
  }

  get codecName(): string {
    return this.#codec?.name ?? 'none'
  }

  /**
   * Takes a caller's value into keeping; nothing the caller does to it later is seen.
   *
   * @throws CacheEncodeError for what the codec cannot write, and for a value with a `then` method,
   * which no promise could resolve to.
   */
  form(key: string, value: unknown): Formed {
    if (isThenable(value)) {
      throw new CacheEncodeError(
        this.codecName,
        '$',
        'it has a then method, so that awaiting it would call that. Await it first',
        { key },
      )
    }
    if (this.#codec === undefined) {
      const own = isPrimitive(value) ? value : (this.#copy?.(value) ?? value)
      return { kept: this.#keeper.keep(own, undefined), bytes: undefined, reserved: false }
    }
    const bytes = encodePayload(this.#codec, key, value)
    const kept = this.read(key, bytes)
    if (kept !== NOT_FOUND) return { kept, bytes, reserved: false }
    // Nil is no value; other bytes that stand for "not found" hold one that can only be handed on.
    const read = decodeBody(this.#codec, key, bytes) ?? NOT_FOUND
    const handed = read === NOT_FOUND ? read : this.#keeper.keep(read, bytes)
    return { kept: handed, bytes, reserved: true }
  }

  /**
   * Takes remote bytes into keeping. `NOT_FOUND` for a placeholder.
   *
   * @throws CacheDecodeError
   */
  read(key: string, bytes: Uint8Array): unknown {
    if (this.#codec === undefined) throw new Error('a cache without a codec has no remote tier')
    const value = decodePayload(this.#codec, key, bytes)
    return value === NOT_FOUND ? NOT_FOUND : this.#keeper.keep(value, bytes)
  }
}

function isThenable(value: unknown): boolean {
  if (isPrimitive(value)) return false
  try {
    return typeof Reflect.get(value as object, 'then') === 'function'
  } catch {
    // A getter that throws would do so in any promise as well.
    return true
  }
}
