import { createHash } from 'node:crypto'

/** A Lua script with the name that Redis keeps it under. */
export interface Script {
  readonly source: string
  /** SHA-1 in hex, for EVALSHA. */
  readonly sha: string
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

/**
 * Deletes a key if it holds exactly the bytes that are expected.
 *
 * KEYS: the key.
 * ARGV: the bytes expected.
 * Result: 1 if it deleted, else 0.
 */
export const COMPARE_AND_DELETE: Script = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
