import { createHash } from 'node:crypto'

/** A Lua script with the name that Redis keeps it under. */
export interface Script {
  readonly source: string
  /** SHA-1 in hex, for EVALSHA. */
  readonly sha: string
  /**
   * Whether it changes a key whatever that holds, and so must not be overtaken by what is sent after
   * it: it goes out with its source. By its name it would go out twice where the server does not know
   * it. 300 bytes more, and the server hashes them, which costs it a microsecond.
   */
  readonly inOrder: boolean
}

/**
 * The most keys handed to one script: Lua's `unpack` fails between 7,900 and 9,000 keys, and a
 * script keeps every other client waiting. 256 are read in well under a millisecond.
 */
export const MOST_KEYS = 256

/**
 * Reads values with the life each has left, at one instant: between a GET and a PTTL sent one after
 * the other another write could come, and lend its longer life to the older value.
 *
 * A third of what it costs the server is to carry values through Lua, so the reply of MGET is handed
 * on as it is and not copied into another table. MULTI would cost a third less, but its EXEC would end
 * the WATCH of whoever else uses the connection.
 *
 * KEYS: 1 to 256 keys.
 * ARGV: none.
 * Result: for each key its value, nil if it holds none or something that is no string; then for each
 * key its PTTL: milliseconds left, -1 without expiry, -2 where there is no value.
 */
export const READ: Script = script(`
local call, keys = redis.call, KEYS
local count = #keys
local result = call('MGET', unpack(keys))
for i = 1, count do
  result[count + i] = result[i] and call('PTTL', keys[i]) or -2
end
return result
`)

/**
 * Writes a value if the key holds exactly the bytes that are expected.
 *
 * KEYS: the key.
 * ARGV: the bytes expected; the bytes to write; their life in milliseconds.
 * Result: 1 if it wrote, else 0.
 */
export const COMPARE_AND_SET: Script = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

/*
 * A lease is a string: the token of who has it, and a `*` behind it once somebody waits for it.
 *
 * What writes or may fail stands before what publishes: a script that ends with an error has changed
 * nothing. A message that the server does not let this user publish is left out, and the rest stands.
 * In a cluster the lease is left out of a change whose slot is on its way to another server, where no
 * command may have two keys: it has been voided by then.
 */

/** Ends a script whose token, the first argument, has not the lease; tells whether somebody waits. */
const CHECK_LEASE = `
local holder = redis.call('GET', KEYS[2])
local marked = holder == ARGV[1] .. '*'
if not marked and holder ~= ARGV[1] then return -1 end`

/** Ends the lease; `took` says what became of the change. */
const END_LEASE = `
redis.call('DEL', KEYS[2])
if took and ARGV[4] ~= '' then redis.pcall('PUBLISH', ARGV[4], ARGV[5]) end
if marked and ARGV[6] ~= '' then redis.pcall('PUBLISH', ARGV[6], ARGV[7]) end
return took and 1 or 0`

/** Of a change whose second key, if there is one, is the lease. */
const VOID = `
if KEYS[2] then redis.call('DEL', KEYS[2]) end`

/** The part of a token before its last dot names the owner. */
const CLAIM = `
local function claim(lease, token, life)
  if redis.call('SET', lease, token, 'PX', life, 'NX') then return false end
  local holder = redis.call('GET', lease)
  local mark = string.sub(holder, -1) == '*' and '*' or ''
  if string.match(holder, '^(.*)%.') == string.match(token, '^(.*)%.') then
    redis.call('SET', lease, token .. mark, 'PX', life)
    return false
  end
  if mark == '' then redis.call('APPEND', lease, '*') end
  return holder .. ' ' .. redis.call('PTTL', lease)
end`

/**
 * Reads values with the life each has left, and takes the lease of each key that holds nothing and
 * whose lease nobody else has; one that somebody else has is marked as waited for.
 *
 * KEYS: 1 to 256 keys, then the lease of each.
 * ARGV: the token; the life of a lease in milliseconds.
 * Result: for each key its value, nil if it holds none or something that is no string; then for each
 * key its PTTL if it has a value, -2 if the lease was taken, else what the lease holds, a blank, and
 * the PTTL of the lease.
 */
export const READ_OR_LEASE: Script = script(`${CLAIM}
local call, keys = redis.call, KEYS
local count = #keys / 2
local result = call('MGET', unpack(keys, 1, count))
for i = 1, count do
  result[count + i] = result[i] and call('PTTL', keys[i])
    or claim(keys[count + i], ARGV[1], ARGV[2]) or -2
end
return result
`)

/**
 * The same for one key: without loops, and without a function where nobody has the lease, it costs the
 * server a third less.
 *
 * KEYS: the key; its lease.
 * ARGV and result: as above.
 */
export const READ_ONE_OR_LEASE: Script = script(`
local call, lease = redis.call, KEYS[2]
local result = call('MGET', KEYS[1])
if result[1] then
  result[2] = call('PTTL', KEYS[1])
  return result
end
if call('SET', lease, ARGV[1], 'PX', ARGV[2], 'NX') then
  result[2] = -2
  return result
end
${CLAIM}
result[2] = claim(lease, ARGV[1], ARGV[2]) or -2
return result
`)

/**
 * Takes a lease whatever its key holds, unless somebody else has it: then marks it as waited for.
 *
 * KEYS: the lease.
 * ARGV: the token; the life of the lease in milliseconds.
 * Result: nil if it was taken, else what the lease holds, a blank, and its PTTL.
 */
export const TAKE_LEASE: Script = script(`${CLAIM}
return claim(KEYS[1], ARGV[1], ARGV[2])
`)

/**
 * Gives a lease another life from now on.
 *
 * KEYS: the lease.
 * ARGV: the token; the life in milliseconds.
 * Result: 1 if the token had it, else 0.
 */
export const RENEW_LEASE: Script = script(`
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and holder ~= ARGV[1] .. '*' then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

/**
 * Ends a lease, and publishes that to those who wait for it.
 *
 * KEYS: the lease.
 * ARGV: the token; the channel and the text for those who wait, or neither.
 * Result: 1 if the token had it, else 0.
 */
export const RELEASE_LEASE: Script = script(`
local holder = redis.call('GET', KEYS[1])
local marked = holder == ARGV[1] .. '*'
if not marked and holder ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if marked and ARGV[2] then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
return 1
`)

/**
 * Writes a value under a lease, and ends that; publishes the write if it took, and the end of the
 * lease if somebody waits for it.
 *
 * KEYS: the key; its lease.
 * ARGV: the token; the bytes to write; their life in milliseconds; channel and text about the write,
 * empty for none; channel and text for those who wait, empty for none; the bytes expected, left out
 * if the key must hold nothing.
 * Result: 1 if it wrote, 0 if the key holds something else, -1 if the token has not the lease.
 */
export const FILL: Script = script(`${CHECK_LEASE}
local took = false
if not ARGV[8] then
  took = redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3], 'NX')
elseif redis.call('GET', KEYS[1]) == ARGV[8] then
  took = redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
${END_LEASE}
`)

/**
 * Gives a value another life under a lease, and ends that; publishes as a fill does. To know the value
 * by its SHA-1 costs the server what hashing it takes, in place of a value sent and written.
 *
 * KEYS: the key; its lease.
 * ARGV: the token; the SHA-1 of the bytes expected, in hex; the life in milliseconds; channel and text
 * about the change, empty for none; channel and text for those who wait, empty for none.
 * Result: 1 if it has that life, 0 if the key holds something else, -1 if the token has not the lease.
 */
export const TOUCH: Script = script(`${CHECK_LEASE}
local held = redis.call('MGET', KEYS[1])[1]
local took = held and redis.sha1hex(held) == ARGV[2]
if took then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
${END_LEASE}
`)

/**
 * Writes a value, voids the lease of its key, and publishes that.
 *
 * KEYS: the key; its lease, or none.
 * ARGV: the bytes; their life in milliseconds; NX, XX or empty; channel and text, or neither.
 * Result: 1 if it wrote; else 0, and nothing was voided or published.
 */
export const SET_AND_VOID: Script = scriptInOrder(`
local took
if ARGV[3] == '' then
  took = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  took = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], ARGV[3])
end
if not took then return 0 end
${VOID}
if ARGV[4] then redis.pcall('PUBLISH', ARGV[4], ARGV[5]) end
return 1
`)

/**
 * Deletes keys, voids their leases, and publishes that, whether they held anything or not.
 *
 * KEYS: 1 to 256 keys, then the lease of each, or none.
 * ARGV: how many keys; channel and text, or neither.
 * Result: how many of the keys held something.
 */
export const DELETE_AND_VOID: Script = scriptInOrder(`
local count = tonumber(ARGV[1])
local deleted = redis.call('DEL', unpack(KEYS, 1, count))
if #KEYS > count then redis.call('DEL', unpack(KEYS, count + 1)) end
if ARGV[2] then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
return deleted
`)

/**
 * Lets a value live no longer than that, voids the lease of its key, and publishes that, whether it held
 * something or not. Deletes what is never kept stale: the placeholder, which is `*` alone, and what is no
 * string; and whatever the key holds if this user may not run GETRANGE, since that may be either.
 *
 * One that ends sooner is given the life it has: nothing else tells those who track the key.
 *
 * KEYS: the key; its lease, or none.
 * ARGV: the life in milliseconds; channel and text, or neither.
 * Result: 1 if the key held something other than the placeholder, else 0.
 */
export const SHORTEN_AND_VOID: Script = scriptInOrder(`
local key, left = KEYS[1], redis.call('PTTL', KEYS[1])
local held = left ~= -2
if held then
  local start = redis.pcall('GETRANGE', key, 0, 1)
  if type(start) == 'table' or start == '*' then
    held = start ~= '*'
    redis.call('DEL', key)
  elseif left >= 0 and left < tonumber(ARGV[1]) then
    redis.call('PEXPIRE', key, left)
  else
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
${VOID}
if ARGV[2] then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
return held and 1 or 0
`)

/**
 * Deletes a key if it holds exactly the bytes that are expected, voids its lease, and publishes that.
 *
 * KEYS: the key; its lease, or none.
 * ARGV: the bytes expected; channel and text, or neither.
 * Result: 1 if it deleted; else 0, and nothing was voided or published.
 */
export const COMPARE_AND_DELETE: Script = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', unpack(KEYS))
if ARGV[2] then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
return 1
`)

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex'), inOrder: false }
}

function scriptInOrder(source: string): Script {
  return { ...script(source), inOrder: true }
}
