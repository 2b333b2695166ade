const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function whole(count) {
  return WHOLE.format(count)
}

function percent(part, all) {
  return `${((100 * part) / all).toFixed(1)} %`
}

/** Nearest rank: the smallest latency that at least this share of the requests did not exceed. */
export function quantile(latencies, share) {
  const sorted = Float64Array.from(latencies).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

/** Rows of name, figure without the cache, figure with it. */
export function resultRows(without, cached, remoteName) {
  const requests = cached.latencies.length
  const time = (phase, share) => `${quantile(phase.latencies, share).toFixed(1)} ms`
  const rate = (phase) => `${whole((1000 * phase.latencies.length) / phase.duration)} /s`
  const { localHit, remoteHit, coalesced } = cached.stats
  return [
    ['', 'without cache', 'with cache'],
    ['requests', whole(without.latencies.length), whole(requests)],
    ['database queries', whole(without.queries), whole(cached.queries)],
    ['hit ratio, local', '-', percent(localHit, requests)],
    [`hit ratio, remote (${remoteName})`, '-', percent(remoteHit, requests)],
    ['joined a load under way', '-', percent(coalesced, requests)],
    ['p50', time(without, 0.5), time(cached, 0.5)],
    ['p99', time(without, 0.99), time(cached, 0.99)],
    ['throughput', rate(without), rate(cached)],
  ]
}

export function renderTable(rows) {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (left, middle, right) =>
    `  ${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${right}`
  const lines = rows.map(([name, ...figures]) => {
    const cells = [
      name.padEnd(widths[0]),
      ...figures.map((text, i) => text.padStart(widths[i + 1])),
    ]
    return `  │ ${cells.join(' │ ')} │`
  })
  return [
    line('┌', '┬', '┐'),
    lines[0],
    line('├', '┼', '┤'),
    ...lines.slice(1),
    line('└', '┴', '┘'),
  ].join('\n')
}
