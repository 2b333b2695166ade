/**
 * What a cache has counted since it was made. The first eight have jetcache-go's meaning. They are
 * recorded by each `get`, and once per load by the caller of `once` that leads it; callers that join
 * a load count as `coalesced` only.
 */
export interface Counters {
  /** A fresh value or a placeholder came from a tier. */
  hit: number
  /** No tier had a fresh one, and each that was asked said so. */
  miss: number
  localHit: number
  localMiss: number
  remoteHit: number
  remoteMiss: number
  /** Loaders started. */
  query: number
  /** Loaders that failed: threw, rejected or timed out. A recognised not-found is no failure. */
  queryFail: number
  /** Callers that joined a load already under way. */
  coalesced: number
  /** Leases that were granted: this process may load, and the others wait. */
  leasesGranted: number
  /** Loads that found the lease of their key held by another process. */
  leasesWaited: number
  /** Leases granted to a load that had waited: the one before it failed, or its process did. */
  leasesTakenOver: number
  /**
   * Leases that were gone when they were renewed or used: expired, evicted by the server, or voided by
   * a change of another process.
   */
  leasesLost: number
  /** Loads that had waited in vain for others and then ran without a lease: nothing of them is stored. */
  loadsAlone: number
  /** Answers that were a stale value. */
  staleServed: number
  /** Loaders started to replace a stale value; they count as `query` too, as the next do. */
  revalidations: number
  /** Loaders started to replace a value that may have been fresh: at an interval, by hand, or ahead. */
  refreshes: number
  /** Refreshes of the table that stored nothing new: the loader failed, or the remote could not be asked. */
  refreshesFailed: number
  /** Refreshes of the table that were another process's turn. */
  refreshesElsewhere: number
  /** Keys that left the table of refreshes because it was full. */
  refreshesEvicted: number
  /** Refreshes by writers who know of no leases: one may have undone a deletion that came during it. */
  foreignRefreshes: number
  /** Remote operations that failed or did not answer in time. */
  remoteErrors: number
  /** Remote operations that were not sent: the breaker was open, or their key awaited its repair. */
  remoteSkipped: number
  /** Remote operations that were not sent because too many were under way. */
  remoteShed: number
  /** Times that the breaker has opened. */
  breakerOpened: number
  /** Keys whose change will not be repaired or replayed any more, since too many others awaited it. */
  repairsGivenUp: number
  /** Times that another server answered than before, or the same had begun anew, or none said who. */
  remoteReplaced: number
  /** Keys whose acknowledged change was made again as a deletion, since the server was replaced. */
  replayed: number
  /** Stored bytes that the codec could not read. */
  decodeFailures: number
  /** Keys that failed to decode again after their repair: another writer uses another codec. */
  codecConflicts: number
  /** Remote values read that had no expiry: a foreign writer. */
  remoteWithoutExpiry: number
  /** Loaded values handed through uncached because their bytes would read back as "not found". */
  uncacheable: number
  /** Fills given up because the key changed, or was filled by another, while they were under way. */
  fillsFenced: number
  /** Messages that went out for certain, repeats included; wake-ups are not counted. */
  busSent: number
  /** Messages and notices that were heard, those of this cache left out. */
  busReceived: number
  /** Times that a message of another process was missing, so that local was flushed. */
  busGaps: number
  /** Times that local was flushed because of the bus, for whatever reason. */
  busFlushes: number
  /** Times that the bus could not be relied on any more. */
  busDisarmed: number
  /** Texts heard that are no message. */
  busMalformed: number
  /** Fills taken back since a writer who knows of no leases had changed the key. */
  foreignUndone: number
  /** Fills that could not have been taken back any more, since too many others came after them. */
  foreignFillsForgotten: number
}

export function newCounters(): Counters {
  return {
    hit: 0,
    miss: 0,
    localHit: 0,
    localMiss: 0,
    remoteHit: 0,
    remoteMiss: 0,
    query: 0,
    queryFail: 0,
    coalesced: 0,
    leasesGranted: 0,
    leasesWaited: 0,
    leasesTakenOver: 0,
    leasesLost: 0,
    loadsAlone: 0,
    staleServed: 0,
    revalidations: 0,
    refreshes: 0,
    refreshesFailed: 0,
    refreshesElsewhere: 0,
    refreshesEvicted: 0,
    foreignRefreshes: 0,
    remoteErrors: 0,
    remoteSkipped: 0,
    remoteShed: 0,
    breakerOpened: 0,
    repairsGivenUp: 0,
    remoteReplaced: 0,
    replayed: 0,
    decodeFailures: 0,
    codecConflicts: 0,
    remoteWithoutExpiry: 0,
    uncacheable: 0,
    fillsFenced: 0,
    busSent: 0,
    busReceived: 0,
    busGaps: 0,
    busFlushes: 0,
    busDisarmed: 0,
    busMalformed: 0,
    foreignUndone: 0,
    foreignFillsForgotten: 0,
  }
}
