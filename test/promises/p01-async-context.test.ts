import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NAMED_CELLS, openWorld, type World } from '../support/cells.ts'
import { HeldLoader } from '../support/held-loader.ts'

const request = new AsyncLocalStorage<string>()

describe.each(NAMED_CELLS)('Async context, %s', (_, cell) => {
  let world: World
  beforeAll(async () => {
    world = await openWorld(cell)
  })
  afterAll(() => world.end())

  it('a loader runs in the context of the caller that started the load, to its end', async () => {
    const cache = world.open()
    const key = world.key('leader')
    const seen: (string | undefined)[] = []
    const loader = new HeldLoader<string>()
    const load = async (context: Parameters<typeof loader.load>[0]) => {
      seen.push(request.getStore())
      const value = await loader.load(context)
      seen.push(request.getStore())
      return value
    }
    const leader = request.run('leader', () => cache.once(key, load))
    const joined = request.run('joined', () => cache.once(key, load))
    const run = await loader.run(0)
    request.run('whoever settles it', () => run.resolve('value'))
    expect(await Promise.all([leader, joined])).toEqual(['value', 'value'])
    expect(seen).toEqual(['leader', 'leader'])
  })

  it('each caller of a shared load continues in a context of its own', async () => {
    const cache = world.open()
    const key = world.key('joined')
    const loader = new HeldLoader<string>()
    const call = (name: string, signal?: AbortSignal) =>
      request.run(name, async () => {
        const value = await cache.once(key, loader.load, signal === undefined ? {} : { signal })
        return `${request.getStore()}: ${value}`
      })
    const calls = [call('a'), call('b'), call('c', new AbortController().signal)]
    const run = await loader.run(0)
    run.resolve('value')
    expect(await Promise.all(calls)).toEqual(['a: value', 'b: value', 'c: value'])
    expect(await call('d')).toBe('d: value')
  })

  it('a load whose starter has left goes on in its context for the others', async () => {
    const cache = world.open()
    const key = world.key('left')
    const leaving = new AbortController()
    const loader = new HeldLoader<string>()
    const load = async (context: Parameters<typeof loader.load>[0]) => {
      const value = await loader.load(context)
      return `${value} in ${request.getStore()}`
    }
    const leader = request.run('leader', () => cache.once(key, load, { signal: leaving.signal }))
    const joined = request.run('joined', () => cache.once(key, load))
    const run = await loader.run(0)
    leaving.abort()
    await expect(leader).rejects.toBe(leaving.signal.reason)
    run.resolve('value')
    expect(await joined).toBe('value in leader')
  })
})
