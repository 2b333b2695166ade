import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import type { World } from '../support/world.ts'

const run = promisify(execFile)
const EXAMPLES = join(import.meta.dirname, '..', '..', '..', 'examples')

/** What the examples of docs/interop.md store, under the keys that they name. */
const STORED = [
  ['go-peers.mjs', 'order:7', 'order'],
  ['go-strings.mjs', 'page:home', 'page'],
  ['go-strings.mjs', 'logo', 'logo'],
] as const

export function exampleTests(world: () => World): void {
  test.each(STORED)('what examples/%s stores under %s is what Go reads', async (...given) => {
    const [example, key, fixture] = given
    const { go } = world()
    // Not deleted before: another test file may be running the same example on the same Redis.
    const env = { ...process.env, REDIS_URL: inject('redisUrl') }
    await run('node', [join(EXAMPLES, example)], { env })
    const answer = await go.call({ do: 'get', codec: 'msgpack', fixture, key })
    expect(answer).toMatchObject({ same: true })
  })
}
