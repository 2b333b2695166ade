/** A record names its key, so that it cannot be taken for another's. */
export interface Row {
  readonly key: string
  readonly version: number
}

/** What the cache stands in front of: the versions of records, each counted from 1. */
export class Database {
  readonly #versions = new Map<string, number>()

  read(key: string): Row {
    return { key, version: this.version(key) }
  }

  version(key: string): number {
    return this.#versions.get(key) ?? 1
  }

  update(key: string): Row {
    this.#versions.set(key, this.version(key) + 1)
    return this.read(key)
  }
}

export function rows(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}:${i}`)
}
