import type { NodeRedisEmitter } from './node-redis-client.ts'

/** Our listeners on a client of node-redis, while they are needed. */
export class Listening {
  readonly #emitter: NodeRedisEmitter
  readonly #listeners: ReadonlyMap<string, () => void>
  readonly #added = new Set<string>()

  /** @param listeners By event; `error` among them, without which an error ends the process. */
  constructor(
    emitter: NodeRedisEmitter,
    listeners: { error(): void; [event: string]: () => void },
  ) {
    this.#emitter = emitter
    const { error, ...others } = listeners
    this.#listeners = new Map([...Object.entries(others), ['error', error]])
  }

  begin(): void {
    for (const [event, listener] of this.#listeners) {
      if (this.#added.has(event)) continue
      this.#emitter.on(event, listener)
      this.#added.add(event)
    }
  }

  /**
   * Clients are objects that inherit from what emits the events. To take the last listener off would
   * part their lists of listeners, and what is added later would hear nothing: where there is no
   * other, the one for `error` stays.
   */
  end(): void {
    for (const [event, listener] of this.#listeners) {
      if (event === 'error' && this.#isLast()) return
      this.#emitter.off(event, listener)
      this.#added.delete(event)
    }
  }

  #isLast(): boolean {
    return this.#emitter.eventNames().length < 2 && this.#emitter.listenerCount('error') < 2
  }
}
