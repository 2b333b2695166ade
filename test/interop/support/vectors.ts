import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Vectors {
  readonly header: {
    readonly captured: string
    readonly go: string
    readonly modules: Readonly<Record<string, string>>
  }
  /** Stored bytes by `<fixture> <codec of Go>`. */
  readonly vectors: ReadonlyMap<string, Uint8Array>
}

/** What `go run . -capture ../vectors` wrote when it last ran, in `go/`. */
export function readVectors(): Vectors {
  const file = join(import.meta.dirname, '..', 'vectors', 'vectors.jsonl')
  const [header, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n')
  const vectors = lines.map((line) => {
    const { fixture, codec, hex } = JSON.parse(line)
    return [`${fixture} ${codec}`, new Uint8Array(Buffer.from(hex, 'hex'))] as const
  })
  return { header: JSON.parse(header ?? ''), vectors: new Map(vectors) }
}
