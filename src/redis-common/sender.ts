import { NotSentError, type RedisArgument, type RedisConnection } from './redis-connection.ts'
import type { Script } from './scripts.ts'
import { isOnItsWay, saysNoMaster } from './verdict.ts'

interface SenderParts {
  readonly connection: RedisConnection
  /** @throws NotSentError if nothing may go out now. */
  readonly check: () => void
  /** A reply has said that another server may be the one to ask by now. */
  readonly suspect: () => void
}

/** A script, and what it runs on. */
interface ScriptCall {
  readonly script: Script
  /** As they are sent, of one slot. */
  readonly keys: readonly string[]
  readonly args: readonly RedisArgument[]
  readonly signal?: AbortSignal | undefined
}

/** Sends what a store asks for, while it may. */
export class Sender {
  readonly #connection: RedisConnection
  readonly #check: () => void
  readonly #suspect: () => void
  /** An operation that began before it moved sends no second command. */
  #withdrawals = 0

  constructor(parts: SenderParts) {
    this.#connection = parts.connection
    this.#check = parts.check
    this.#suspect = parts.suspect
  }

  withdraw(): void {
    this.#withdrawals++
    this.#connection.withdraw()
  }

  send(command: (connection: RedisConnection) => Promise<unknown>): Promise<unknown> {
    try {
      this.#check()
      return command(this.#connection).then(undefined, this.#onError)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** By the script's name; with its source where the server does not know it yet, or no longer. */
  run({ script, keys, args, signal }: ScriptCall): Promise<unknown> {
    const kept = args.map(copied)
    const sendSource = () =>
      this.send((connection) => connection.eval(script.source, keys, kept, signal))
    if (script.inOrder) return sendSource()
    // Handlers instead of async functions, here and above: each costs a lone read some microseconds.
    const mayGoOn = this.#untilWithdrawn()
    return this.send((connection) => connection.evalSha(script.sha, keys, kept, signal)).then(
      undefined,
      (error: unknown) => {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
        mayGoOn()
        return sendSource()
      },
    )
  }

  /**
   * Runs a script on several keys, or does the same key by key where they cannot share a command now:
   * while their slot is on its way from one server of a cluster to another.
   *
   * @param apart Called with what the server has said, and with what is called before each command
   * but the first: it throws `NotSentError` if the operation has been withdrawn.
   */
  runTogether(
    call: ScriptCall,
    apart: (refusal: unknown, mayGoOn: () => void) => Promise<unknown>,
  ): Promise<unknown> {
    const mayGoOn = this.#untilWithdrawn()
    return this.run(call).then(undefined, (refusal: unknown) => {
      if (!isOnItsWay(refusal)) throw refusal
      mayGoOn()
      return apart(refusal, mayGoOn)
    })
  }

  /** The returned function throws `NotSentError` once everything has been withdrawn. */
  #untilWithdrawn(): () => void {
    const withdrawals = this.#withdrawals
    return () => {
      if (withdrawals === this.#withdrawals) return
      throw new NotSentError('the operation was withdrawn')
    }
  }

  readonly #onError = (error: unknown): never => {
    if (saysNoMaster(error)) this.#suspect()
    throw error
  }
}

/** It may be sent later than the caller's turn, and the caller's bytes are what they are now. */
function copied(argument: RedisArgument): RedisArgument {
  return typeof argument === 'string' ? argument : Buffer.from(argument)
}
