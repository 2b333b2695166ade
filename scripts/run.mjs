import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs a command in the foreground; if it fails, this process ends with its exit code. */
export async function run(command, args, options = {}) {
  const code = await exitCode(command, args, options)
  if (code !== 0) process.exit(code)
}

/** Runs a command in the foreground and returns its exit code, 1 if a signal ended it. */
export async function exitCode(command, args, options = {}) {
  // npm is a script of the shell on Windows.
  const shell = process.platform === 'win32'
  const child = spawn(command, args, { stdio: 'inherit', shell, ...options })
  const [code] = await once(child, 'close')
  return code ?? 1
}
