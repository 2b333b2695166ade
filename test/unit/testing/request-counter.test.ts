import { expect, it } from 'vitest'
import { RequestCounter } from '../../../src/testing/request-counter.ts'

/** Three commands: an array whose payload looks like another one, an inline line, an array. */
const STREAM = Buffer.from(
  '*2\r\n$4\r\nECHO\r\n$9\r\n\r\n*1\r\n$4\r\n\r\nPING\r\n\r\n*1\r\n$4\r\nPING\r\n',
)

function count(chunks: readonly Buffer[]): number {
  const counter = new RequestCounter()
  return chunks.reduce((sum, chunk) => sum + counter.count(chunk), 0)
}

it('counts arrays and lines, and nothing that stands inside a payload', () => {
  expect(count([STREAM])).toBe(3)
})

it('counts the same wherever the stream is broken', () => {
  for (let at = 0; at <= STREAM.length; at++) {
    expect(count([STREAM.subarray(0, at), STREAM.subarray(at)]), `at ${at}`).toBe(3)
  }
  expect(count([...STREAM].map((byte) => Buffer.of(byte)))).toBe(3)
})

it('counts a command as soon as its first line is complete', () => {
  const counter = new RequestCounter()
  expect(counter.count(Buffer.from('*2\r'))).toBe(0)
  expect(counter.count(Buffer.from('\n'))).toBe(1)
  expect(counter.count(Buffer.from('$1\r\na\r\n$1\r\nb\r\n'))).toBe(0)
})
