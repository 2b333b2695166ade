import type { RemoteVerdict } from '../remote/remote-store.ts'
import { NotSentError } from './redis-connection.ts'

/**
 * What a server that is well says no with: to this key, to writes while its memory is full or it
 * cannot save or has too few replicas, to this user, to keys of several slots. Before Redis 7 it stands
 * inside the message when a script met it.
 */
const REFUSED = /\b(?:WRONGTYPE|OOM|MISCONF|NOPERM|NOREPLICAS|TRYAGAIN|CROSSSLOT)\b/

/** What a server says that cannot serve anybody now: it loads its data, is a replica, has no cluster. */
const UNAVAILABLE =
  /\b(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|BUSY|NOAUTH|WRONGPASS)\b/

/** What is certain of an error of a client of Redis; `undefined`: nothing is. */
export function verdictOf(error: unknown): RemoteVerdict | undefined {
  if (error instanceof NotSentError) return 'not sent'
  if (!(error instanceof Error)) return undefined
  if (REFUSED.test(error.message)) return 'refused'
  return UNAVAILABLE.test(error.message) ? 'unavailable' : undefined
}

/** Whether another server may be the one to ask by now. */
export function saysNoMaster(error: unknown): boolean {
  return error instanceof Error && /\b(?:READONLY|LOADING|MASTERDOWN)\b/.test(error.message)
}

/** Whether keys of its slot cannot share a command until that has come to another server. */
export function isOnItsWay(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('TRYAGAIN')
}
