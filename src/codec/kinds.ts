import { isDate, isMap, isSet, isUint8Array } from 'node:util/types'

/** The kinds of object that a codec may know. `foreign` is every other one: a class instance. */
type ObjectKind = 'plain' | 'array' | 'date' | 'bytes' | 'map' | 'set' | 'foreign'

/**
 * Tells the kind of an object. A subclass is `foreign`, since it would come back without its class;
 * `Buffer` alone counts as the `Uint8Array` it is. Objects of another realm (`vm`, jest) count as
 * our own would.
 */
export function kindOf(value: object): ObjectKind {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return 'plain'
  if (prototype === Array.prototype) return 'array'
  if (isDate(value)) return ancestors(value) === 2 ? 'date' : 'foreign'
  if (isUint8Array(value)) return isPlainBytes(value) ? 'bytes' : 'foreign'
  if (isMap(value)) return ancestors(value) === 2 ? 'map' : 'foreign'
  if (isSet(value)) return ancestors(value) === 2 ? 'set' : 'foreign'
  if (Array.isArray(value)) return ancestors(value) === 2 ? 'array' : 'foreign'
  return ancestors(value) === 1 && Object.hasOwn(prototype as object, 'isPrototypeOf')
    ? 'plain'
    : 'foreign'
}

/** `Uint8Array.prototype`, `%TypedArray%.prototype` and `Object.prototype` are three. */
function isPlainBytes(value: Uint8Array): boolean {
  return Buffer.isBuffer(value) || ancestors(value) === 3
}

/** The length of the prototype chain: the same in every realm, one more in a subclass. */
function ancestors(value: object): number {
  let count = 0
  let prototype: unknown = Object.getPrototypeOf(value)
  while (prototype !== null) {
    count++
    prototype = Object.getPrototypeOf(prototype)
  }
  return count
}

/** How a foreign object is called in an error. */
export function classNameOf(value: object): string {
  const made: unknown = value.constructor
  return typeof made === 'function' && made.name !== '' ? made.name : 'an unnamed class'
}
