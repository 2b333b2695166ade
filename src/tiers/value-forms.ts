import type { Codec } from '../codec/codec.ts'
import { copyPlain } from '../codec/copy.ts'
import { type Copying, type Keeper, keeperFor } from '../local/keeper.ts'
import type { Isolation } from '../local/local-store.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { ValueForm } from './value-form.ts'

/** The forms of one cache: that of its own codec, and those of codecs that single calls ask for. */
export class ValueForms {
  /** What hands values out, whichever codec they came by. */
  readonly keeper: Keeper
  readonly #isolation: Isolation
  readonly #usual: Copying
  readonly #own: ValueForm
  readonly #others = new WeakMap<Codec, ValueForm>()
  readonly #copy: ((value: unknown) => unknown) | undefined
  readonly #codec: Codec | undefined

  /**
   * @param codec The cache's own; `undefined`: values never become bytes, whatever a call asks for.
   * @param copy The local engine's own copy function.
   */
  constructor(
    codec: Codec | undefined,
    isolation: Isolation,
    copy: ((value: unknown) => unknown) | undefined,
  ) {
    this.#codec = codec
    this.#isolation = isolation
    this.#copy = copy
    this.#usual = this.#copying(codec)
    this.keeper = keeperFor(isolation, this.#usual, this.#usual)
    this.#own = new ValueForm(codec, this.keeper, copy)
  }

  /** @param codec Of a call; `undefined`: the cache's own. */
  of(codec: Codec | undefined): ValueForm {
    if (codec === undefined || codec === this.#codec || this.#codec === undefined) return this.#own
    let form = this.#others.get(codec)
    if (form === undefined) {
      const keeper = keeperFor(this.#isolation, this.#copying(codec), this.#usual)
      form = new ValueForm(codec, keeper, undefined)
      this.#others.set(codec, form)
    }
    return form
  }

  /** What one caller gets; `null` where the record is known not to exist. */
  give(kept: unknown): unknown {
    return kept === NOT_FOUND ? null : this.keeper.give(kept)
  }

  #copying(codec: Codec | undefined): Copying {
    return {
      copy: this.#copy ?? copyOf(codec),
      decode: (bytes) => codec?.decode(bytes),
    }
  }
}

/** Unbound where it needs no codec, so that the keeper knows it again. */
function copyOf(codec: Codec | undefined): Copying['copy'] {
  return codec?.copy === copyPlain ? copyPlain : codec?.copy?.bind(codec)
}
