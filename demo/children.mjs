import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A child that has not left by then is stuck. */
const STOP_WITHIN = 5000

/** Starts a file of this folder as a process that answers questions over its IPC channel. */
export function startChild(file) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)))
  const waiting = new Map()
  let asked = 0
  child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) resolve(answer)
    else reject(new Error(error))
  })
  const ended = once(child, 'exit').then(([code, signal]) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended: ${code ?? signal}`))
  })
  return {
    ask(question, argument) {
      const id = asked++
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject })
        child.send({ id, question, argument }, (error) => error && reject(error))
      })
    },
    async stop() {
      if (child.connected) child.disconnect()
      const killing = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN)
      await ended
      clearTimeout(killing)
    },
  }
}

/** The other end: `questions` maps names to async functions; `stop` runs when the parent lets go. */
export function answerParent(questions, stop) {
  process.on('message', async ({ id, question, argument }) => {
    const reply = await questions[question](argument).then(
      (answer) => ({ id, answer }),
      (error) => ({ id, error: error.message }),
    )
    // A parent that has let go meanwhile needs no reply: `disconnect` follows.
    if (process.connected) process.send(reply, () => {})
  })
  // The channel closes even if the parent is killed: no child outlives it.
  process.once('disconnect', () => {
    stop().then(
      () => process.exit(0),
      (error) => {
        console.error(`  ${error.message}`)
        process.exit(1)
      },
    )
  })
  // Ctrl-C reaches every process of the terminal; the parent decides when we leave.
  process.on('SIGINT', () => {})
}
