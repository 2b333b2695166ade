import type { RemoteConnection, RemoteVerdict } from './remote-store.ts'
import type { FailedWrite } from './repairs.ts'

/** A write on its way, or one that failed: whether it may still take effect. */
export class SentWrite implements FailedWrite {
  #connection: RemoteConnection | undefined
  #state: 'not sent' | 'under way' | 'over' | 'unknown' = 'not sent'

  /** Where writes go out in order, on one connection. */
  sentOn(connection: RemoteConnection): void {
    this.#connection = connection
  }

  /** @param verdict Of its rejection: what is certain. */
  follow<T>(write: Promise<T>, judge: (error: unknown) => RemoteVerdict | undefined): Promise<T> {
    this.#state = 'under way'
    return write.then(
      (result) => {
        this.#state = 'over'
        return result
      },
      (error: unknown) => {
        this.#state = judge(error) === undefined ? 'unknown' : 'over'
        throw error
      },
    )
  }

  get lane(): RemoteConnection | undefined {
    return this.#connection
  }

  get over(): boolean {
    return this.#state === 'not sent' || this.#state === 'over'
  }

  get pending(): boolean {
    return this.#connection === undefined && this.#state === 'under way'
  }

  get lingers(): boolean {
    return !this.over && (this.#connection?.lingers ?? true)
  }
}
