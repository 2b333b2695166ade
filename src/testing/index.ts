export { type BusConformanceOptions, busConformance } from './bus-conformance.ts'
export type { InvalidationBusTarget, NoticedStore } from './bus-conformance-trial.ts'
export type { RemoteStoreTarget } from './conformance-trial.ts'
export type { Drip } from './fault-lane.ts'
export type { Cut } from './faulty-connection.ts'
export {
  type Fault,
  type FaultyRemoteOptions,
  faultyRemote,
  type StoreOperation,
} from './faulty-remote.ts'
export { type LocalStoreConformanceOptions, localStoreConformance } from './local-conformance.ts'
export { type ManualClock, type ManualClockOptions, manualClock } from './manual-clock.ts'
export {
  type MemoryBus,
  type MemoryBusCarriage,
  type MemoryBusLine,
  type MemoryBusOptions,
  type MemoryBusSending,
  memoryBus,
} from './memory-bus.ts'
export { type MemoryRemote, type MemoryRemoteOptions, memoryRemote } from './memory-remote.ts'
export {
  type RemoteStoreConformanceOptions,
  remoteStoreConformance,
} from './remote-conformance.ts'
export { type StartRedisOptions, startRedis } from './servers/redis.ts'
export {
  type RedisCluster,
  type StartRedisClusterOptions,
  startRedisCluster,
} from './servers/redis-cluster.ts'
export type { Reply } from './servers/resp.ts'
export { type RedisSentinels, startSentinels } from './servers/sentinels.ts'
export type { RedisProcess } from './servers/server-process.ts'
export {
  type Direction,
  type TcpFaultProxy,
  type TcpFaultProxyCounts,
  type TcpFaultProxyOptions,
  tcpFaultProxy,
} from './tcp-fault-proxy.ts'
