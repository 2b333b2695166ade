const WIDTH = 30

/** Plain lines (a log file, CI) come this seldom, in milliseconds. */
const PLAIN_EVERY = 5000

/** One line that changes in a terminal; elsewhere a line now and then. */
export class Progress {
  #out
  #printedAt = performance.now()

  constructor(out) {
    this.#out = out
  }

  show(text) {
    const now = performance.now()
    const every = this.#out.isTTY ? 100 : PLAIN_EVERY
    if (now - this.#printedAt < every) return
    this.#printedAt = now
    this.#out.write(this.#out.isTTY ? `\r\x1b[K  ${text}` : `  ${text}\n`)
  }

  /** Stays on the screen. */
  end(text) {
    this.#out.write(this.#out.isTTY ? `\r\x1b[K  ${text}\n` : `  ${text}\n`)
    this.#printedAt = performance.now()
  }

  clear() {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K')
  }

  /** Shows how many seconds `work` has taken until it settles. */
  async during(text, work) {
    const startedAt = performance.now()
    const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
    const ticking = setInterval(() => this.show(`${text} ${seconds()} s`), 100)
    try {
      const result = await work
      this.end(`${text} ${seconds()} s`)
      return result
    } finally {
      clearInterval(ticking)
    }
  }
}

export function bar(part) {
  const full = Math.min(WIDTH, Math.round(part * WIDTH))
  return `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)}`
}
