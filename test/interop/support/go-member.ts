import { until } from '../../support/until.ts'
import type { GoAnswer, GoCommand, GoLocal, GoNews, GoPeer } from './go-peer.ts'

/** A Go service with a local tier, which tells a channel of its changes and hears what others tell. */
export class GoMember {
  /** Also the name of its cache. */
  readonly name: string
  readonly sourceId: string
  readonly #go: GoPeer
  readonly #heard: GoNews[] = []

  static async join(go: GoPeer, name: string, channel: string, local: GoLocal): Promise<GoMember> {
    const asked = { do: 'join', codec: 'msgpack', member: name, channel, local } as const
    const { error, text = '' } = await go.call(asked)
    if (error !== undefined) throw new Error(error)
    return new GoMember(go, name, text)
  }

  private constructor(go: GoPeer, name: string, sourceId: string) {
    this.#go = go
    this.name = name
    this.sourceId = sourceId
  }

  /** An error of Go is one here, but for "not found". */
  async call(command: GoCommand): Promise<GoAnswer> {
    const answer = await this.#go.call({ ...command, member: this.name })
    if (answer.error === undefined || answer.notFound) return answer
    throw new Error(`${command.do} in Go: ${answer.error}`)
  }

  /** What it does makes an event; that has been published then. */
  async change(command: GoCommand): Promise<GoAnswer> {
    const own = async () =>
      (await this.heard()).filter(({ event }) => event.SourceID === this.sourceId).length
    const before = await own()
    const answer = await this.call(command)
    await until('Go publishes its event', async () => (await own()) > before)
    return answer
  }

  /** Whether its local tier has the key; no news are waited for. */
  async holds(key: string): Promise<boolean> {
    return (await this.call({ do: 'held', key })).held ?? false
  }

  /** All that it has heard, its own events included. */
  async heard(): Promise<readonly GoNews[]> {
    const from = this.#heard.length
    const { heard = [] } = await this.call({ do: 'heard', from })
    // Others may have asked meanwhile.
    this.#heard.splice(from, heard.length, ...heard)
    return this.#heard
  }

  /** The first of the news, of others, that are like this. */
  async news(condition: string, like: (news: GoNews) => boolean): Promise<GoNews> {
    let found: GoNews | undefined
    await until(`Go hears ${condition}`, async () => {
      const heard = await this.heard()
      found = heard.find((each) => each.event.SourceID !== this.sourceId && like(each))
      return found !== undefined
    })
    return found as GoNews
  }

  /** What it hears from others of this key. */
  newsOf(key: string): Promise<GoNews> {
    return this.news(`of ${key}`, ({ event }) => event.Keys?.includes(key) ?? false)
  }

  /** Its events are published only after the work. */
  async holdingEvents(work: () => Promise<void>): Promise<void> {
    await this.call({ do: 'holdEvents' })
    try {
      await work()
    } finally {
      await this.call({ do: 'releaseEvents' })
    }
  }
}
