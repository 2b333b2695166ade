/**
 * Runs the contestants in many short turns, so that what slows the machine down slows all of them,
 * and returns the median nanoseconds of one call of each: CPU time, so that a busy neighbour does not
 * count, of all threads, so that the collector's work does.
 */
export function compare(contestants, { repetitions = 61, roundMs = 8 } = {}) {
  const names = Object.keys(contestants)
  const counts = new Map()
  const times = new Map(names.map((name) => [name, []]))
  for (const name of names) {
    run(contestants[name], 2000)
    let count = 100
    while (run(contestants[name], count) < roundMs / 4) count *= 2
    counts.set(name, Math.ceil((count * roundMs) / run(contestants[name], count)))
  }
  for (let i = 0; i < repetitions; i++) {
    for (const name of names) {
      const count = counts.get(name)
      times.get(name).push((run(contestants[name], count) * 1e6) / count)
    }
  }
  return new Map(names.map((name) => [name, median(times.get(name))]))
}

/** Prints nanoseconds, and speed as a multiple of the first one's. */
export function print(title, medians) {
  const [first] = medians.values()
  console.log(`\n${title}`)
  for (const [name, time] of medians) {
    console.log(
      `${name.padEnd(28)} ${time.toFixed(0).padStart(9)} ns ${(first / time).toFixed(2).padStart(6)}x`,
    )
  }
}

let sink
function run(call, count) {
  const from = process.cpuUsage()
  for (let i = 0; i < count; i++) sink = call()
  const { user, system } = process.cpuUsage(from)
  return (user + system) / 1000
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

export function used() {
  return sink
}
