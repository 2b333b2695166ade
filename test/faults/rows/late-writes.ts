import { it } from 'vitest'
import { until } from '../../support/until.ts'
import { aChange } from '../change.ts'
import type { Deployment, Remote } from '../deployments.ts'
import { Trial } from '../trial.ts'
import { untilTheTurn } from '../turn.ts'
import type { Outage } from './outages.ts'

/** How fast that is, is measured elsewhere. */
const RECOVERED_WITHIN = 10_000

/**
 * Version 1 lies in the remote. During the outage version 2 is sent, and nobody knows whether it
 * arrives; version 3 is not sent any more.
 */
export function leavesNothingOld(deployment: Deployment, outage: Outage): void {
  it(
    `what a remote that is ${outage.name} did not take is never read back by this process, nor by others once it is repaired: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const change = await aChange(trial)
        await outage.begin(trial.remote)
        await change.failTwice()
        await change.isInvisible()
        await outage.end(trial.remote)
        await change.staysInvisibleUntilRepaired()
        await change.isGoneForOthers()
        await trial.recovers(change.cache, RECOVERED_WITHIN)
      }),
  )
}

/** The server goes on with what it was sent on a connection that the client has replaced since. */
export function frozenAndReconnected(deployment: Deployment): void {
  it(
    `what a frozen server was sent on a connection that is lost undoes nothing newer when it goes on: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { remote } = trial
        const change = await aChange(trial)
        remote.servers.freeze()
        await change.failTwice()
        const { connections } = remote.network.counts()
        remote.network.cut()
        await until(
          'the client has connected anew',
          () => remote.network.counts().connections > connections,
        )
        await remote.servers.resume()
        await change.staysInvisibleUntilRepaired()
        await change.isGoneForOthers()
      }),
  )
}

interface LateOptions {
  readonly name: string
  /** Before the client connects. */
  prepare(remote: Remote): Promise<void>
}

export const MAY_KILL: LateOptions = {
  name: 'a user who may end connections',
  prepare: async () => undefined,
}

export const MAY_NOT_KILL: LateOptions = {
  name: 'a user who may not end connections',
  prepare: (remote) => remote.servers.configure('ACL', 'SETUSER', 'default', '-client|kill'),
}

/** What was sent arrives on the old connection when the client is being served on a new one. */
export function lateBytes(deployment: Deployment, { name, prepare }: LateOptions): void {
  it(
    `bytes of a lost connection that arrive late undo nothing newer, with ${name}: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { remote } = trial
        await prepare(remote)
        const change = await aChange(trial)
        remote.network.strand()
        await change.failTwice()
        remote.network.cut()
        await trial.recovers(change.cache, RECOVERED_WITHIN)
        await change.writeAnew()
        await remote.network.deliverStranded()
        await change.staysInvisibleUntilRepaired()
        await change.isGoneForOthers()
      }),
  )
}

/** A server that comes back with what it held some time ago, before anything has told of its end. */
export function lostByARestart(deployment: Deployment): void {
  it(
    `a change that a restarted server has lost again is not undone: ${deployment.name}`,
    { timeout: 60_000 },
    () =>
      Trial.on(deployment, async (trial) => {
        const { remote } = trial
        const change = await aChange(trial)
        await remote.servers.configure('CONFIG', 'SET', 'appendonly', 'no')
        await change.succeed()
        await remote.servers.kill()
        await remote.servers.restart()
        // To the turn: what is asked of a new connection first must not be answered by it.
        await untilTheTurn('the client is connected', change.isConnected, RECOVERED_WITHIN)
        await change.isInvisible()
        await trial.recovers(change.cache, RECOVERED_WITHIN)
        await change.staysInvisibleUntilRepaired()
        await change.isGoneForOthers()
      }),
  )
}
