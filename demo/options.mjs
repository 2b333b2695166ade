import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

export const USAGE = `npm start -- [--trace FILE.gz] [--requests N] [--quick]

  --trace FILE.gz  ask for what a trace file asked for: gzip, one decimal key per line
  --requests N     how many requests, however long they take (default 3000, or what fits in 15 s)
  --quick          only 300 requests
  REDIS_URL=...    share a Redis instead of an LMDB directory`

const REQUESTS = 3000
const QUICK_REQUESTS = 300

/** A slow machine sends fewer requests rather than keep its owner waiting. */
const LONGEST_PHASE = 15_000

/** @throws Error saying which argument is wrong. */
export function readOptions(args, environment) {
  const { values } = parseArgs({
    args,
    options: {
      trace: { type: 'string' },
      requests: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  return {
    help: values.help,
    // npm runs its scripts in the package's folder; the path was typed in INIT_CWD.
    trace: values.trace && resolve(environment.INIT_CWD ?? '.', values.trace),
    requests: requestsFrom(values),
    longestPhase: values.requests === undefined ? LONGEST_PHASE : Number.POSITIVE_INFINITY,
    redisUrl: redisUrlFrom(environment),
  }
}

function redisUrlFrom({ REDIS_URL: url }) {
  if (!url) return undefined
  if (URL.canParse(url)) return url
  throw new Error('REDIS_URL must be a URL such as redis://127.0.0.1:6379')
}

function requestsFrom({ requests, quick }) {
  if (requests === undefined) return quick ? QUICK_REQUESTS : REQUESTS
  const count = Number(requests)
  if (Number.isInteger(count) && count >= 1 && count <= 1_000_000) return count
  throw new Error(`--requests must be a whole number from 1 to 1,000,000, but is ${requests}`)
}
