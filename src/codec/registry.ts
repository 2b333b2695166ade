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

/** Finds the codec that an option gives or names. */
export type CodecFinder = (codec: string | Codec) => Codec

/**
 * @param codecs What the user registered, by name.
 * @throws TypeError (`code: 'CACHE_OPTION'`) if something registered is no codec or redefines a
 * built-in name; and the finder, if a name is unknown or something given is no codec.
 */
export function codecFinder(codecs: Readonly<Record<string, Codec>> | undefined): CodecFinder {
  const known = registry(codecs)
  return (codec) => {
    if (typeof codec !== 'string') return checkCodec(codec, 'codec')
    let found = known.get(codec)
    if (found === undefined) {
      found = BUILT_IN.get(codec)?.()
      if (found === undefined) throw unknownName(codec, known)
      known.set(codec, found)
    }
    return found
  }
}

function unknownName(codec: string, known: ReadonlyMap<string, Codec>): TypeError {
  const names = [...new Set([...BUILT_IN.keys(), ...known.keys()])].map((name) => shown(name))
  return optionTypeError(
    `codec ${shown(codec)} is not registered`,
    `There is ${names.join(', ')}; register others in codecs, or pass the codec itself.`,
  )
}

function registry(codecs: unknown): Map<string, Codec> {
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
