/**
 * Runs a scenario under every schedule it has.
 *
 * A scenario is a list of operations started in order, each of which stops at gates. After every
 * step all promise reactions run, and then there is a choice: start the next operation, or open one
 * of the gates that somebody waits at. A schedule is the list of those choices; the explorer repeats
 * the scenario with the next list, depth first, until all have been run.
 */
export class Gates {
  readonly #waiting: { readonly name: string; readonly open: () => void }[] = []

  /** Waits until the explorer lets it pass. */
  pass(name: string): Promise<void> {
    return new Promise((open) => this.#waiting.push({ name, open }))
  }

  get waiting(): readonly string[] {
    return this.#waiting.map((gate) => gate.name)
  }

  open(index: number): string {
    const [gate] = this.#waiting.splice(index, 1)
    if (gate === undefined) throw new Error(`no gate ${index}`)
    gate.open()
    return gate.name
  }
}

export interface Scenario {
  readonly gates: Gates
  /** Each starts one operation and does not wait for it. */
  readonly operations: readonly { readonly name: string; readonly start: () => void }[]
  /** Lets time pass when nothing else can happen; resolves whether something may have come of it. */
  readonly idle?: () => Promise<boolean>
  /** Called once all have settled: throws if something is wrong. */
  readonly check: () => void | Promise<void>
}

/** Steps taken, for the message of a failure. */
type Trace = string[]

const STEPS_AT_MOST = 200

/**
 * Runs all schedules, or the first so many of them; returns how many there were. A failure names the
 * schedule that led to it.
 */
export async function exploreAll(
  make: () => Scenario | Promise<Scenario>,
  most: number = Infinity,
): Promise<number> {
  let schedules = 0
  let prefix: number[] | undefined = []
  while (prefix !== undefined && schedules < most) {
    const choices: { taken: number; of: number }[] = []
    const follow: number[] = prefix
    const trace: Trace = []
    const scenario = await make()
    try {
      await runOne(scenario, trace, (of) => {
        const taken = follow[choices.length] ?? 0
        choices.push({ taken, of })
        return taken
      })
    } catch (cause) {
      throw new Error(`${(cause as Error).message}\n  after: ${trace.join(', ')}`, { cause })
    }
    schedules++
    prefix = next(choices)
  }
  return schedules
}

/** Runs one schedule, whose choices come from elsewhere. */
export async function runOne(
  scenario: Scenario,
  trace: Trace,
  choose: (of: number) => number,
): Promise<void> {
  let started = 0
  for (let step = 0; step < STEPS_AT_MOST; step++) {
    const waiting = scenario.gates.waiting.length
    const mayStart = started < scenario.operations.length ? 1 : 0
    if (waiting + mayStart === 0) {
      if (await scenario.idle?.()) continue
      await scenario.check()
      return
    }
    const taken = waiting + mayStart === 1 ? 0 : choose(waiting + mayStart)
    if (taken < waiting) {
      trace.push(scenario.gates.open(taken))
    } else {
      const operation = scenario.operations[started++]
      trace.push(`start ${operation?.name}`)
      operation?.start()
    }
    await reactions()
  }
  throw new Error('the scenario does not end')
}

/** All promise reactions there are: a macrotask begins only when none is left. */
function reactions(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The next list of choices, depth first. */
function next(choices: readonly { taken: number; of: number }[]): number[] | undefined {
  for (let i = choices.length - 1; i >= 0; i--) {
    const choice = choices[i]
    if (choice !== undefined && choice.taken + 1 < choice.of) {
      return [...choices.slice(0, i).map((earlier) => earlier.taken), choice.taken + 1]
    }
  }
  return undefined
}
