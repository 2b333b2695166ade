import type { Cluster, Redis } from 'ioredis'
import type { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import type { Redis as Iovalkey, Cluster as IovalkeyCluster } from 'iovalkey'
import { type IoredisClient, type IoredisCluster, ioredis } from '../../src/ioredis/index.ts'

// Checked by the compiler alone: the clients of the real packages fit what we ask for.

export const six: (client: Redis) => IoredisClient = (client) => client
export const five: (client: Redis5) => IoredisClient = (client) => client
export const valkey: (client: Iovalkey) => IoredisClient = (client) => client

export const sixCluster: (client: Cluster) => IoredisCluster = (client) => client
export const fiveCluster: (client: Cluster5) => IoredisCluster = (client) => client
export const valkeyCluster: (client: IovalkeyCluster) => IoredisCluster = (client) => client

// @ts-expect-error: a URL is no client.
ioredis('redis://127.0.0.1')

// @ts-expect-error: a Cluster is no single client.
export const cluster: (client: Cluster) => IoredisClient = (client) => client
