import { optionTypeError, shown } from '../model/errors.ts'

/** @throws TypeError (`code: 'CACHE_OPTION'`) for the name of an option that there is not. */
export function refuseUnknown(of: string, options: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue
    throw optionTypeError(`${of} has no option ${shown(name)}`, `It has ${[...known].join(', ')}.`)
  }
}

/** @throws TypeError (`code: 'CACHE_OPTION'`) */
export function requirePath(path: unknown): void {
  if (typeof path === 'string' && path !== '') return
  throw optionTypeError(`path must be a directory, but is ${shown(path)}`, 'Name one.')
}
