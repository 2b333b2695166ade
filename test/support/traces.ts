import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Public traces of cache accesses; they lie beside the checkout, or where TRACES says. */
const FOLDER = resolve(import.meta.dirname, '../..', process.env['TRACES'] ?? '../shared/traces')

export const hasTraces: boolean = existsSync(resolve(FOLDER, 'README.md'))

/** The keys that are asked for, in order of time. */
export function readTrace(name: string): string[] {
  return gunzipSync(readFileSync(resolve(FOLDER, `${name}.txt.gz`)))
    .toString()
    .trimEnd()
    .split('\n')
}
