import type { Announcement } from '../remote/remote-store.ts'
import { LOG_KEY, messageKeyOf } from './records.ts'
import type { Bytes } from './space.ts'

/** Milliseconds that a message is kept: who reads less often than that has lost some. */
const MOST_AGE = 10_000
/** Messages kept at most; they may be removed in one transaction, some ten milliseconds then. */
const MOST_MESSAGES = 20_000
/** Bytes kept at most, the last message apart. */
const MOST_BYTES = 8 * 2 ** 20

/** What the log holds: the messages from `first` to `last`, without gaps. */
interface Head {
  readonly first: number
  readonly last: number
  readonly bytes: number
}

const EMPTY: Head = { first: 1, last: 0, bytes: 0 }

type Get = (key: Buffer) => Buffer | undefined

/** The number of the last message; 0 if there was never one. */
export function lastNumber(get: Get): number {
  return headOf(get).last
}

/** Messages read together at most, and bytes of them, the first one apart: some milliseconds. */
const READ_AT_ONCE = 500
const READ_BYTES = 2 ** 20

/**
 * The messages behind number `position`, the oldest first, or as many of them as are read together.
 * `undefined`: some of them are gone.
 */
export function messagesAfter(get: Get, position: number): Announcement[] | undefined {
  const last = lastNumber(get)
  const messages: Announcement[] = []
  let bytes = 0
  for (let number = position + 1; number <= last; number++) {
    const record = get(messageKeyOf(number))
    if (record === undefined) return undefined
    bytes += record.length
    if (messages.length === READ_AT_ONCE || (messages.length > 0 && bytes > READ_BYTES)) break
    messages.push(decode(record))
  }
  return messages
}

/** The log of messages, within one write transaction. */
export class MessageLog {
  readonly #db: Bytes
  #head: Head | undefined
  #changed = false

  constructor(db: Bytes) {
    this.#db = db
  }

  append(message: Announcement, now: number): void {
    this.#head ??= headOf((key) => this.#db.getBinary(key))
    const record = encode(message, now)
    const last = this.#head.last + 1
    void this.#db.put(messageKeyOf(last), record)
    this.#head = this.#trimmed(
      { ...this.#head, last, bytes: this.#head.bytes + record.length },
      now,
    )
    this.#changed = true
  }

  save(): void {
    if (this.#head === undefined || !this.#changed) return
    const record = Buffer.alloc(24)
    record.writeDoubleBE(this.#head.first)
    record.writeDoubleBE(this.#head.last, 8)
    record.writeDoubleBE(this.#head.bytes, 16)
    void this.#db.put(LOG_KEY, record)
  }

  /** Removes the oldest until all bounds are kept; never the last one. */
  #trimmed(head: Head, now: number): Head {
    let { first, bytes } = head
    while (first < head.last) {
      const key = messageKeyOf(first)
      const record = this.#db.getBinary(key)
      const tooMany = head.last - first >= MOST_MESSAGES || bytes > MOST_BYTES
      if (record !== undefined && !tooMany && now - record.readDoubleBE() <= MOST_AGE) break
      void this.#db.remove(key)
      bytes -= record?.length ?? 0
      first++
    }
    return { first, last: head.last, bytes }
  }
}

function headOf(get: Get): Head {
  const record = get(LOG_KEY)
  if (record === undefined) return EMPTY
  return {
    first: record.readDoubleBE(),
    last: record.readDoubleBE(8),
    bytes: record.readDoubleBE(16),
  }
}

const TIME_BYTES = 8
const LENGTH_BYTES = 4

function encode({ channel, text }: Announcement, now: number): Buffer {
  const name = Buffer.from(channel)
  const start = Buffer.alloc(TIME_BYTES + LENGTH_BYTES)
  start.writeDoubleBE(now)
  start.writeUInt32BE(name.length, TIME_BYTES)
  return Buffer.concat([start, name, Buffer.from(text)])
}

function decode(record: Buffer): Announcement {
  const channelAt = TIME_BYTES + LENGTH_BYTES
  const textAt = channelAt + record.readUInt32BE(TIME_BYTES)
  return {
    channel: record.toString('utf8', channelAt, textAt),
    text: record.toString('utf8', textAt),
  }
}
