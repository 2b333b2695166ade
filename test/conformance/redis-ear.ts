import { createClient } from 'redis'

/** Hears what is published on a server, on a connection of its own. */
export interface RedisEar {
  /** Hands over what comes on a channel, from when it resolves. */
  readonly listen: (channel: string, hear: (text: string) => void) => Promise<void>
  end(): void
}

/** Connects when it first listens. */
export function redisEar(url: string): RedisEar {
  const client = createClient({ url })
  client.on('error', () => {})
  return {
    listen: async (channel, hear) => {
      if (!client.isOpen) await client.connect()
      await client.subscribe(channel, hear)
    },
    end: () => {
      if (client.isOpen) client.destroy()
    },
  }
}
