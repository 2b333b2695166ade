import type { GoEventType } from '../bus/go-event.ts'
import type { Announcement } from './remote-store.ts'

/** A message on its way together with a change. */
export interface Ride {
  readonly announcement: Announcement
  /** @param out Whether it went out; `undefined`: nobody knows. */
  settle(out: boolean | undefined): void
}

/** What a fill that replaces a value is to others: nothing that they have is undone for it. */
export type FillEvent = Extract<GoEventType, 'setByOnce' | 'setByRefresh'>

/** Tells other processes of what this one does to the remote. None of its methods throws. */
export interface Announcer {
  /**
   * A message that says that the key has changed, to be published in the same step as the change;
   * asked for in the turn in which that is sent. `undefined`: none can ride, and `changed` is to be
   * called once the change is acknowledged.
   */
  ride(key: string, event: GoEventType): Ride | undefined
  /** They have been changed, and no message rode along. @param event Default: `delete`. */
  changed(keys: readonly string[], event?: GoEventType): void
  /** The message for those who wait for the lease of a key; `undefined`: they learn it without one. */
  wake(key: string): Announcement | undefined
  /**
   * A load is about to fill the key with these bytes; asked for in the turn in which that is sent.
   *
   * @param leased Whether a change by a cache of ours would have stopped it.
   */
  filling(key: string, bytes: Uint8Array, leased: boolean): Filling
}

/** A fill on its way. */
export interface Filling {
  /**
   * @param landed Whether the remote holds what it brought; `undefined`: nobody knows.
   * @returns Whether news came meanwhile because of which it must not be left there, if nobody knows.
   */
  settle(landed: boolean | undefined): boolean
}
