/** Every object that a value is made of, the memory of its bytes included. */
export function objectsIn(value: unknown, found: Set<object> = new Set()): Set<object> {
  if (typeof value !== 'object' || value === null) return found
  found.add(value)
  if (value instanceof Uint8Array) found.add(value.buffer)
  else if (value instanceof Map) for (const entry of value) objectsIn([...entry], found)
  else if (value instanceof Set) for (const part of value) objectsIn(part, found)
  else for (const part of Object.values(value)) objectsIn(part, found)
  return found
}
