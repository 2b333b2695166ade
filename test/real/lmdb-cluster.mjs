// The primary of a cluster whose two workers try the gate of one directory; says how many got it.
// Arguments: the folder of the compiled package, the directory.
import cluster from 'node:cluster'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [built, path] = process.argv.slice(2)
const WORKERS = 2

if (cluster.isPrimary) {
  const answers = []
  cluster.on('message', (_, answer) => {
    answers.push(answer)
    if (answers.length < WORKERS) return
    process.send(answers.filter((each) => each === 'taken').length, () => process.exit())
  })
  for (let i = 0; i < WORKERS; i++) cluster.fork()
} else {
  const { Gate } = await import(pathToFileURL(join(built, 'lmdb/gate.js')).href)
  // Held until the primary ends.
  process.send(new Gate(path).take() === undefined ? 'held' : 'taken')
}
