// A Redis for the tests: REDIS_URL, a server on PATH, or one from the system's packages.
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { exitCode } from './run.mjs'

const BINARIES = ['redis-server', 'valkey-server']

/** Debian asks this script before it starts a service: 101 forbids it. We start our own, later. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d'

/** Makes sure that the tests find a server, and says which; throws one clear line if there is none. */
export async function ensureRedis(env = process.env) {
  if (env.REDIS_URL) return 'the server that REDIS_URL names'
  const found = onPath(BINARIES, env)
  if (found !== undefined) return found
  if (process.getuid?.() === 0 && onPath(['apt-get'], env) !== undefined) {
    await installByApt(env)
    const installed = onPath(BINARIES, env)
    if (installed !== undefined) return `${installed}, installed just now`
  }
  throw new Error(
    `the tests need a Redis: none of ${BINARIES.join(', ')} is on PATH and it could not be installed. Install one (apt-get install redis-server), or set REDIS_URL`,
  )
}

async function installByApt(env) {
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } }
  const ours = !existsSync(SERVICE_POLICY)
  if (ours) await writeFile(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await exitCode('apt-get', ['-q', 'update'], options)
    const packages = ['--no-install-recommends', 'redis-server']
    await exitCode('apt-get', ['-q', 'install', '-y', ...packages], options)
  } finally {
    if (ours) await rm(SERVICE_POLICY)
  }
}

function onPath(names, env) {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      if (folder !== '' && existsSync(join(folder, name))) return join(folder, name)
    }
  }
  return undefined
}
