// One isolated copy of a kept value: the generated copy of the local tier against the plain one and
// against others' cloners, for few shapes and many. Build first: npm run build (in the folder above).
import { execFileSync } from 'node:child_process'
import { klona as klonaAll } from 'klona'
import { klona } from 'klona/json'
import makeRfdc from 'rfdc'
import { copyPlain } from '../dist/codec/copy.js'
import { json } from '../dist/codec/json.js'
import { Recopied } from '../dist/local/kept.js'
import { compare, print } from './compare.js'
import { large, shaped, small } from './objects.js'

const codec = json()
const rfdc = makeRfdc()
const CLONERS = {
  'copyPlain, as it was': copyPlain,
  'klona/json': klona,
  klona: klonaAll,
  rfdc,
  'JSON, there and back': (value) => JSON.parse(JSON.stringify(value)),
  structuredClone,
}

/** So that V8 has optimized the functions of all shapes but the 500. */
const WARM_UP = 1_000_000

const WORKLOADS = {
  'one shape, 240 bytes': Array.from({ length: 1000 }, () => small),
  '40 shapes, 240 bytes': Array.from({ length: 1000 }, (_, i) => shaped(i % 40)),
  '500 shapes, 240 bytes': Array.from({ length: 1000 }, (_, i) => shaped(i % 500)),
  'one shape, 10 KB': Array.from({ length: 100 }, () => large),
  '40 shapes, 10 KB': Array.from({ length: 120 }, (_, i) => ({
    ...large,
    products: large.products.map((product) => ({ ...product, ...shaped(i % 40) })),
  })),
}

// Each in a process of its own, so that none is left the other's functions.
const [, file, wanted] = process.argv
if (wanted !== undefined) measure(wanted, WORKLOADS[wanted])
else
  for (const name of Object.keys(WORKLOADS)) {
    execFileSync(process.execPath, [file, name], { stdio: 'inherit' })
  }

function measure(name, values) {
  // Each value with memory of its own, as it comes from the remote.
  const decoded = values.map((value) => codec.decode(codec.encode(value)))
  const kept = decoded.map((value) => new Recopied(value))
  let next = 0
  const at = () => {
    next = next + 1 === decoded.length ? 0 : next + 1
    return next
  }
  const contestants = {}
  for (const [cloner, clone] of Object.entries(CLONERS)) {
    contestants[cloner] = () => clone(decoded[at()])
  }
  contestants.generated = () => kept[at()].give()
  for (let i = 0; i < WARM_UP; i++) contestants.generated()
  print(name, compare(contestants, { repetitions: 21 }))
}
