import { optionTypeError, shown } from '../model/errors.ts'
import type { Codec } from './codec.ts'
import { json } from './json.ts'
import { msgpack } from './msgpack.ts'
import { bytes, text } from './raw.ts'

/** The codecs that need no registration, by the name under which `codec` asks for them. */
const BUILT_IN: ReadonlyMap<string, () => Codec> = new Map([
  ['msgpack', () => msgpack()],
  ['json', json],
  ['text', text],
  ['bytes', bytes],
])

/**
 * Finds the codec an option names.
 *
 * @param codec A codec, or a name: built in, or a key of `codecs`. Default `'msgpack'`.
 * @throws TypeError (`code: 'CACHE_OPTION'`) if the name is unknown, if something given is no codec,
 * or if `codecs` redefines a built-in name.
 */
export function resolveCodec(
  codec: string | Codec | undefined,
  codecs: Readonly<Record<string, Codec>> | undefined,
): Codec {
  const registered = registry(codecs)
  if (codec === undefined) return msgpack()
  if (typeof codec !== 'string') return checkCodec(codec, 'codec')
  const found = registered.get(codec) ?? BUILT_IN.get(codec)?.()
  if (found !== undefined) return found
  const names = [...BUILT_IN.keys(), ...registered.keys()].map((name) => shown(name)).join(', ')
  throw optionTypeError(
    `codec ${shown(codec)} is not registered`,
    `There is ${names}; register others in codecs, or pass the codec itself.`,
  )
}

function registry(codecs: unknown): ReadonlyMap<string, Codec> {
  if (codecs === undefined) return new Map()
  if (typeof codecs !== 'object' || codecs === null || Array.isArray(codecs)) {
    throw optionTypeError(
      `codecs must be an object of codecs by name, but is ${shown(codecs)}`,
      'Write codecs: { name: codec }.',
    )
  }
  const registered = new Map<string, Codec>()
  for (const [name, codec] of Object.entries(codecs)) {
    if (BUILT_IN.has(name)) {
      throw optionTypeError(
        `codecs must not redefine the built-in ${shown(name)}`,
        'Register it under a name of its own, or pass it as codec.',
      )
    }
    registered.set(name, checkCodec(codec, `codecs[${shown(name)}]`))
  }
  return registered
}

function checkCodec(codec: unknown, what: string): Codec {
  if (typeof codec !== 'object' || codec === null) {
    throw optionTypeError(
      `${what} must be a name or a codec, but is ${shown(codec)}`,
      'A codec is an object with name, encode and decode.',
    )
  }
  const { name, encode, decode, copy, emptyIsNotFound } = codec as Partial<
    Record<keyof Codec, unknown>
  >
  checkMember(what, 'name', 'a non-empty string', name, typeof name === 'string' && name !== '')
  checkMember(what, 'encode', 'a function', encode, typeof encode === 'function')
  checkMember(what, 'decode', 'a function', decode, typeof decode === 'function')
  checkMember(what, 'copy', 'a function', copy, ['undefined', 'function'].includes(typeof copy))
  const isFlag = ['undefined', 'boolean'].includes(typeof emptyIsNotFound)
  checkMember(what, 'emptyIsNotFound', 'a boolean', emptyIsNotFound, isFlag)
  return codec as Codec
}

function checkMember(
  what: string,
  member: string,
  expected: string,
  value: unknown,
  isRight: boolean,
): void {
  if (isRight) return
  throw optionTypeError(
    `${what}.${member} must be ${expected}, but is ${shown(value)}`,
    'A codec is an object with name, encode and decode; copy and emptyIsNotFound are optional.',
  )
}
