import type { Cluster, Redis } from 'ioredis'
import type { Redis as Redis5 } from 'ioredis5'
import type { Redis as Iovalkey } from 'iovalkey'
import { type IoredisClient, ioredis } from '../../src/ioredis/index.ts'

// Checked by the compiler alone: the clients of the real packages fit what we ask for.

export const six: (client: Redis) => IoredisClient = (client) => client
export const five: (client: Redis5) => IoredisClient = (client) => client
export const valkey: (client: Iovalkey) => IoredisClient = (client) => client

// @ts-expect-error: a URL is no client.
ioredis('redis://127.0.0.1')

// @ts-expect-error: a Cluster is no single client.
export const cluster: (client: Cluster) => IoredisClient = (client) => client
