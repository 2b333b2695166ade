import type { RedisProcess } from '../../../src/testing/servers/server-process.ts'
import type { Crew } from './crew.ts'
import { now } from './ledger.ts'
import { lasting } from './mixed-load.ts'

/**
 * Writes JSON past all caches, as redis-cli would. It only ever sets: of a deletion of what is not
 * there the server tells nobody.
 */
export function foreignWriter(crew: Crew, server: RedisProcess) {
  return (keys: readonly string[], own: readonly number[]): (() => Promise<void>) => {
    let running = true
    const write = async () => {
      for (let i = 0; running; i++) {
        await lasting(20)
        const key = keys[own[i % own.length] ?? 0] ?? ''
        const row = crew.database.update(key)
        crew.ledger.updates.push({ ...row, at: now() })
        await server.ask('SET', key, JSON.stringify(row), 'EX', '3600')
        crew.ledger.acknowledged.push({ ...row, at: now() })
      }
    }
    const written = write()
    return async () => {
      running = false
      await written
    }
  }
}
