import type { Codec } from '../codec/codec.ts'
import { copyPlain } from '../codec/copy.ts'
import { type Copying, type Keeper, keeperFor } from '../local/keeper.ts'
import { BytesKeeping } from '../local/kept-bytes.ts'
import type { LocalEngine } from '../local/local-store.ts'
import { NOT_FOUND } from '../model/entry.ts'
import { ValueForm } from './value-form.ts'

/** The forms of one cache: that of its own codec, and those of codecs that single calls ask for. */
export class ValueForms {
  /** What hands values out, whichever codec they came by. */
  readonly keeper: Keeper
  readonly #keeperOf: (codec: Codec) => Keeper
  readonly #own: ValueForm
  readonly #others = new WeakMap<Codec, ValueForm>()
  readonly #codec: Codec | undefined

  /**
   * @param codec The cache's own; `undefined`: values never become bytes, whatever a call asks for.
   * @param engine The local one.
   */
  constructor(
    codec: Codec | undefined,
    engine: Pick<LocalEngine, 'holds' | 'isolation' | 'copy'> | undefined,
  ) {
    const { isolation = 'copy', copy } = engine ?? {}
    this.#codec = codec
    if (engine?.holds === 'bytes' && codec !== undefined) {
      const keeping = new BytesKeeping()
      this.#keeperOf = (other) => keeping.keeperOf(readingOf(other))
      this.keeper = this.#keeperOf(codec)
    } else {
      const usual = copyingOf(codec, copy)
      this.#keeperOf = (other) => keeperFor(isolation, copyingOf(other, copy), usual)
      this.keeper = keeperFor(isolation, usual, usual)
    }
    this.#own = new ValueForm(codec, this.keeper, copy)
  }

  /** @param codec Of a call; `undefined`: the cache's own. */
  of(codec: Codec | undefined): ValueForm {
    if (codec === undefined || codec === this.#codec || this.#codec === undefined) return this.#own
    let form = this.#others.get(codec)
    if (form === undefined) {
      form = new ValueForm(codec, this.#keeperOf(codec), undefined)
      this.#others.set(codec, form)
    }
    return form
  }

  /** What one caller gets; `null` where the record is known not to exist. */
  give(kept: unknown): unknown {
    return kept === NOT_FOUND ? null : this.keeper.give(kept)
  }
}

function copyingOf(
  codec: Codec | undefined,
  copy: ((value: unknown) => unknown) | undefined,
): Copying {
  return {
    copy: copy ?? copyOf(codec),
    decode: (bytes) => codec?.decode(bytes),
  }
}

/** Unbound where it needs no codec, so that the keeper knows it again. */
function copyOf(codec: Codec | undefined): Copying['copy'] {
  return codec?.copy === copyPlain ? copyPlain : codec?.copy?.bind(codec)
}

function readingOf(codec: Codec): { decode(bytes: Uint8Array): unknown; detached: boolean } {
  return { decode: (bytes) => codec.decode(bytes), detached: codec.detached === true }
}
