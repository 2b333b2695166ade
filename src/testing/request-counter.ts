const NEWLINE = 0x0a

/**
 * Counts the commands in what a Redis client sends: arrays of bulk strings, and inline lines. Fed
 * with chunks as they come; a command counts once its first line is complete.
 */
export class RequestCounter {
  /** Bulk strings still to come of the command under way. */
  #parts = 0
  /** Bytes of a bulk string, with its line end, still to pass over. */
  #payload = 0
  /** A line that the last chunk broke off. */
  #line = ''

  /** Takes the next chunk; answers how many commands began in it. */
  count(chunk: Buffer): number {
    let found = 0
    let at = 0
    while (at < chunk.length) {
      if (this.#payload > 0) {
        const passed = Math.min(this.#payload, chunk.length - at)
        this.#payload -= passed
        at += passed
        continue
      }
      const end = chunk.indexOf(NEWLINE, at)
      this.#line += chunk.toString('latin1', at, end === -1 ? chunk.length : end)
      if (end === -1) return found
      at = end + 1
      if (this.#begins(this.#line.trimEnd())) found++
      this.#line = ''
    }
    return found
  }

  #begins(line: string): boolean {
    if (this.#parts > 0) {
      this.#parts--
      this.#payload = Number(line.slice(1)) + '\r\n'.length
      return false
    }
    if (!line.startsWith('*')) return line !== ''
    this.#parts = Number(line.slice(1))
    return this.#parts > 0
  }
}
