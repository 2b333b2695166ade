import { closingChecks, cutChecks, listeningChecks } from './bus-conformance-listening.ts'
import { messageChecks } from './bus-conformance-messages.ts'
import { noticeChecks } from './bus-conformance-notices.ts'
import { type BusCheck, type InvalidationBusTarget, runBusCheck } from './bus-conformance-trial.ts'

export interface BusConformanceOptions {
  /** Stands in the name of the outermost `describe`. */
  readonly name: string
  /** What the bus says of itself. */
  readonly kind: 'messages' | 'notices'
  /** Makes a transport, or connects to a shared one, for one check; it is disposed of after it. */
  create(): Promise<InvalidationBusTarget>
  /** Whether `create` gives `cut`. Default `false`. */
  readonly cuts?: boolean | undefined
  /** Of vitest, jest, mocha or `node:test`. */
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/**
 * The conformance suite of `InvalidationBus`: whoever writes a bus runs it against theirs. It asserts
 * with `node:assert`, waits for conditions rather than for time, and can share a server with others.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * busConformance({ name: 'my bus', kind: 'messages', create: startMyTransport, describe, it })
 * ```
 */
export function busConformance(options: BusConformanceOptions): void {
  const { describe, it } = options
  const create = () => options.create()
  const groups: (readonly [string, readonly BusCheck[]])[] = [
    ['listening', listeningChecks],
    options.kind === 'messages' ? ['messages', messageChecks] : ['notices', noticeChecks],
    ['closing', closingChecks],
  ]
  if (options.cuts === true) groups.push(['cuts', cutChecks])
  describe(`InvalidationBus: ${options.name}`, () => {
    for (const [name, checks] of groups) {
      describe(name, () => {
        for (const check of checks) {
          it(check[0], () => runBusCheck(options.kind, create, check))
        }
      })
    }
  })
}
