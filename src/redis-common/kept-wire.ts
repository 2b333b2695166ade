import type { Clock, Timer } from '../model/clock.ts'
import { LISTENS_WITHIN, type Lost, type Wire } from './wire.ts'

/** Milliseconds between two attempts, from the second on, less up to a half at random. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 500

/** Milliseconds before an attempt that the server's administrator has to make possible first. */
const FORBIDDEN_PAUSE = 5000

/** Milliseconds that a wire must have listened for its loss to be followed by an attempt at once. */
const STEADY = 1000

const FORBIDDEN = /^(?:NOPERM|NOAUTH|WRONGPASS|ERR unknown (?:command|subcommand))|not allowed/i

interface Told {
  up(): void
  down(): void
}

/** Keeps one wire open: makes another whenever it is lost, until closed. */
export class KeptWire {
  readonly #make: (lost: Lost) => Wire | undefined
  readonly #told: Told
  readonly #clock: Clock
  #wire: Wire | undefined
  #upSince: number | undefined
  #timer: Timer | undefined
  #failures = 0
  #closed = false

  /** @param make Begins a wire; `undefined`: there is no server to listen to now. */
  constructor(make: (lost: Lost) => Wire | undefined, told: Told, clock: Clock) {
    this.#make = make
    this.#told = told
    this.#clock = clock
  }

  /** The wire that listens now. */
  get up(): Wire | undefined {
    return this.#upSince === undefined ? undefined : this.#wire
  }

  /** Tries now, unless there is a wire, or one on its way. */
  wake(): void {
    if (this.#wire !== undefined || this.#closed) return
    this.#timer?.cancel()
    let wire: Wire | undefined
    const lost: Lost = (error) => this.#lose(wire, error)
    try {
      wire = this.#make(lost)
    } catch {
      // The client refuses to make such a connection: it may not, later.
      this.#again(FORBIDDEN_PAUSE)
      return
    }
    if (wire === undefined) {
      this.#again(LONGEST_PAUSE)
      return
    }
    this.#wire = wire
    this.#timer = this.#clock.setTimer(LISTENS_WITHIN, () => lost())
    wire.listening.then(
      () => this.#rise(wire),
      (error: unknown) => this.#lose(wire, error),
    )
  }

  /** Gives up the wire for another one. */
  renew(): void {
    this.#lose(this.#wire)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#wire?.close()
    this.#wire = undefined
    this.#upSince = undefined
  }

  #rise(wire: Wire | undefined): void {
    if (wire !== this.#wire || this.#closed) return
    this.#timer?.cancel()
    this.#upSince = this.#clock.monotonic()
    this.#told.up()
  }

  #lose(wire: Wire | undefined, error?: unknown): void {
    if (wire === undefined || wire !== this.#wire) return
    this.#wire = undefined
    wire.close()
    this.#timer?.cancel()
    const upSince = this.#upSince
    this.#upSince = undefined
    if (upSince !== undefined && this.#clock.monotonic() - upSince >= STEADY) this.#failures = 0
    this.#again(isForbidden(error) ? FORBIDDEN_PAUSE : pauseAfter(this.#failures++))
    if (upSince !== undefined) this.#told.down()
  }

  #again(pause: number): void {
    this.#timer = this.#clock.setTimer(pause, () => this.wake())
  }
}

function pauseAfter(failures: number): number {
  if (failures === 0) return 0
  const pause = Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
  return pause * (1 - Math.random() / 2)
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && FORBIDDEN.test(error.message)
}
