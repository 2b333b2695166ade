import { describe, expect, it } from 'vitest'
import { NotSentError } from '../../../src/redis-common/redis-connection.ts'
import { Session } from '../../../src/redis-common/session.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { connectionTo, type Pretended, pretended } from './fake-servers.ts'

/** All promises that can run have run. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

function open(
  servers: readonly Pretended[] = [pretended()],
  options: { readonly ordered?: boolean; readonly spread?: boolean } = {},
) {
  const connection = connectionTo(servers, options)
  const clock = manualClock()
  const told: string[] = []
  const session = new Session(
    connection,
    {
      reachable: () => told.push('reachable'),
      // What is told before the gate opens is known before any operation goes out.
      replaced: () => told.push(`replaced, ${gate(session)}`),
      forbidden: (commands) => told.push(`forbidden ${commands.join(', ')}`),
    },
    clock,
  )
  session.begin()
  return { session, connection, clock, told }
}

function gate(session: Session): string {
  try {
    session.check()
    return 'open'
  } catch (error) {
    if (error instanceof NotSentError) return 'shut'
    throw error
  }
}

/** The connection is lost, and there is one again. */
async function reconnect({ session, connection }: ReturnType<typeof open>): Promise<void> {
  connection.connected = false
  session.lost()
  connection.connected = true
  session.ready()
  await settled()
}

describe('The first connection', () => {
  it('takes operations before its server has said who it is', () => {
    const { session } = open()
    expect(gate(session)).toBe('open')
  })

  it('that leads to a replica: what was read from it meanwhile is dropped', async () => {
    const server = pretended()
    server.role = 'slave'
    const { told } = open([server])
    await settled()
    expect(told).toEqual(['replaced, open'])
  })

  it('takes them too if it comes later than the store, and after attempts that failed', async () => {
    const server = pretended()
    const { session, connection, told } = open([server])
    await settled()
    told.length = 0
    connection.connected = false
    const late = new Session(connection, {
      reachable: () => told.push('reachable'),
      replaced: () => told.push('replaced'),
      forbidden: () => told.push('forbidden'),
    })
    late.begin()
    for (let attempt = 0; attempt < 3; attempt++) late.lost()
    connection.connected = true
    late.ready()
    expect(gate(late)).toBe('open')
    await settled()
    expect(told).toEqual(['reachable'])
    expect(gate(session)).toBe('open')
  })
})

describe('After a lost connection', () => {
  it('no operation goes out until the server has said who it is', async () => {
    const server = pretended()
    const { session, connection, told } = open([server])
    await settled()
    let letGo = (): void => undefined
    server.gate = new Promise((resolve) => {
      letGo = resolve
    })
    connection.connected = false
    session.lost()
    expect(gate(session)).toBe('shut')
    connection.connected = true
    session.ready()
    await settled()
    expect(gate(session)).toBe('shut')
    letGo()
    await settled()
    expect(gate(session)).toBe('open')
    expect(told).toEqual(['reachable', 'reachable'])
  })

  it.each([
    ['another process', { runId: 'run-2' }],
    ['the same process with another history', { replId: 'else' }],
    ['a server that does not say who it is', { errors: { 'INFO server': 'NOPERM' } }],
  ])(
    '%s counts as replaced, and that is told before an operation can go out',
    async (_who, change: Partial<Pretended>) => {
      const server = pretended()
      const opened = open([server])
      await settled()
      Object.assign(server, change)
      await reconnect(opened)
      expect(opened.told).toContain('replaced, shut')
      expect(gate(opened.session)).toBe('open')
    },
  )

  it('the same server does not', async () => {
    const opened = open()
    await settled()
    await reconnect(opened)
    expect(opened.told).toEqual(['reachable', 'reachable'])
  })

  it('one that was lost before it had said who it is counts as replaced', async () => {
    const server = pretended()
    server.gate = new Promise(() => undefined)
    const opened = open([server])
    server.gate = undefined
    await reconnect(opened)
    expect(opened.told).toEqual(['replaced, shut', 'reachable'])
  })

  it('what a connection said that is lost meanwhile is not heard', async () => {
    const server = pretended()
    const { session, connection, told } = open([server])
    await settled()
    let letGo = (): void => undefined
    server.gate = new Promise((resolve) => {
      letGo = resolve
    })
    session.lost()
    session.ready()
    await settled()
    connection.connected = false
    session.lost()
    letGo()
    await settled()
    expect(gate(session)).toBe('shut')
    expect(told).toEqual(['reachable'])
  })

  it('a ping looks at a server that did not answer before', async () => {
    const server = pretended()
    const opened = open([server])
    await settled()
    server.errors['EVAL'] = 'LOADING Redis is loading the dataset in memory'
    await reconnect(opened)
    expect(gate(opened.session)).toBe('shut')
    await expect(opened.session.ping()).rejects.toThrow('LOADING')
    delete server.errors['EVAL']
    await opened.session.ping()
    expect(gate(opened.session)).toBe('open')
    expect(server.heard.at(-1)).toBe('PING')
  })
})

describe('What was sent on a lost connection', () => {
  it('lands no more once its server has ended that connection', async () => {
    const server = pretended()
    const opened = open([server])
    await settled()
    const before = opened.session.lane
    opened.session.lost()
    expect(before?.lingers).toBe(true)
    server.clientId = 8
    opened.session.ready()
    await settled()
    expect(server.heard).toContain('CLIENT KILL ID 7')
    expect(before?.lingers).toBe(false)
    expect(opened.session.lane).not.toBe(before)
    expect(opened.session.lane?.lingers).toBe(false)
  })

  it('is ended before the gate opens', async () => {
    const server = pretended()
    const opened = open([server])
    await settled()
    server.errors['CLIENT KILL ID 7'] = 'ERR something else'
    await reconnect(opened)
    expect(gate(opened.session)).toBe('shut')
  })

  it('lands no more where another process answers now', async () => {
    const server = pretended()
    const opened = open([server])
    await settled()
    const before = opened.session.lane
    server.runId = 'run-2'
    await reconnect(opened)
    expect(server.heard).not.toContain('CLIENT KILL ID 7')
    expect(before?.lingers).toBe(false)
  })

  it('may land for a while where nobody may end connections', async () => {
    const server = pretended()
    server.errors['CLIENT KILL'] =
      "NOPERM this user has no permissions to run the 'client|kill' command"
    const opened = open([server])
    await settled()
    const before = opened.session.lane
    await reconnect(opened)
    expect(before?.lingers).toBe(true)
    expect(gate(opened.session)).toBe('open')
    expect(opened.told).toEqual(['forbidden CLIENT KILL', 'reachable', 'reachable'])
  })

  it('may land where the server does not say whether it is the same: no stranger is ended', async () => {
    const server = pretended()
    server.errors['INFO'] = 'NOPERM'
    const opened = open([server])
    await settled()
    const before = opened.session.lane
    await reconnect(opened)
    expect(before?.lingers).toBe(true)
    expect(server.heard).not.toContain('CLIENT KILL ID 7')
  })

  it('is not known of a client with several connections', () => {
    expect(open([pretended()], { ordered: false }).session.lane).toBeUndefined()
  })
})

describe('A replica', () => {
  it('gets no operation, and its connection is given up now and then', async () => {
    const server = pretended()
    server.role = 'slave'
    const { session, clock } = open([server])
    await settled()
    expect(() => session.check()).toThrow('the server is a replica')
    const given = () => server.heard.filter((text) => text === 'CLIENT KILL ID 7 SKIPME no').length
    expect(given()).toBe(1)
    await expect(session.ping()).rejects.toThrow('the server is a replica')
    expect(given()).toBe(1)
    await clock.advanceAsync(5000)
    await expect(session.ping()).rejects.toThrow('the server is a replica')
    expect(given()).toBe(2)
    server.role = 'master'
    await session.ping()
    expect(gate(session)).toBe('open')
  })

  it('that says so in a reply is looked at, and a master that said so goes on', async () => {
    const server = pretended()
    const { session, told } = open([server])
    await settled()
    session.suspect()
    expect(gate(session)).toBe('shut')
    await settled()
    expect(gate(session)).toBe('open')
    expect(told).toEqual(['reachable', 'reachable'])
    server.role = 'slave'
    session.suspect()
    await settled()
    expect(gate(session)).toBe('shut')
  })
})

describe('Several connections', () => {
  const cluster = { ordered: false, spread: true }

  async function started(servers: readonly Pretended[], options: typeof cluster = cluster) {
    const opened = open(servers, options)
    const admission = (index: number): Promise<void> | undefined => {
      const server = opened.connection.servers()[index]
      if (server === undefined) throw new Error('there is none')
      return opened.session.admission(server)
    }
    return { ...opened, admission }
  }

  it('take operations at the start before their servers have said who they are', async () => {
    const { admission, told } = await started([pretended('run-1'), pretended('run-2')])
    expect([admission(0), admission(1)]).toEqual([undefined, undefined])
    await settled()
    expect([admission(0), admission(1)]).toEqual([undefined, undefined])
    expect(told).toEqual(['reachable', 'reachable'])
  })

  it('that come one after the other at the start replace nobody', async () => {
    const servers = [pretended('run-1')]
    const { session, told, admission } = await started(servers)
    await settled()
    servers.push(pretended('run-2'), pretended('run-3'))
    session.ready()
    expect([admission(1), admission(2)]).toEqual([undefined, undefined])
    await settled()
    expect(told).toEqual(['reachable', 'reachable', 'reachable'])
  })

  it('of which one is new: it takes none before it has said who it is, and counts as replaced', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, admission, told } = await started(servers)
    await settled()
    Object.assign(servers[1] ?? {}, { runId: 'run-4' })
    session.ready()
    expect(admission(0)).toBeUndefined()
    const asked = admission(1)
    expect(asked).toBeInstanceOf(Promise)
    expect(told).toEqual(['reachable', 'reachable'])
    await asked
    expect(told).toEqual(['reachable', 'reachable', 'replaced, open', 'reachable'])
    expect(admission(1)).toBeUndefined()
  })

  it('of which one is new and a ping finds it first: it counts as replaced all the same', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, admission, told } = await started(servers)
    await settled()
    Object.assign(servers[1] ?? {}, { runId: 'run-4' })
    await session.ping()
    await settled()
    expect(told).toEqual(['reachable', 'reachable', 'replaced, open', 'reachable'])
    expect(admission(1)).toBeUndefined()
  })

  it('one that loads its data takes none until it is heard, while the others go on', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, clock, admission, told } = await started(servers)
    await settled()
    const second = servers[1]
    if (second === undefined) throw new Error('there are two')
    second.runId = 'run-5'
    second.errors['EVAL'] = 'LOADING Redis is loading the dataset in memory'
    session.lost()
    session.ready()
    await settled()
    expect(admission(0)).toBeUndefined()
    await expect(admission(1)).rejects.toThrow('LOADING')
    delete second.errors['EVAL']
    // It was asked a moment ago.
    await expect(admission(1)).rejects.toThrow('LOADING')
    expect(told.filter((news) => news.startsWith('replaced'))).toEqual([])
    await clock.advanceAsync(100)
    await admission(1)
    expect(told.at(-2)).toMatch('replaced')
  })

  it('one that is silent is asked once, however long and however often it is wanted', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, clock, admission } = await started(servers)
    await settled()
    const second = servers[1]
    if (second === undefined) throw new Error('there are two')
    Object.assign(second, { runId: 'run-5', gate: new Promise(() => undefined) })
    second.heard.length = 0
    session.lost()
    for (let i = 0; i < 10; i++) {
      void admission(1)
      await clock.advanceAsync(200)
    }
    expect(second.heard.filter((text) => text === 'INFO server')).toHaveLength(1)
  })

  it('a connection that was lost for a moment leads to a server that is known', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, connection, told } = await started(servers)
    await settled()
    connection.connected = false
    session.lost()
    connection.connected = true
    session.ready()
    await settled()
    expect(told.filter((news) => news.startsWith('replaced'))).toEqual([])
  })

  it('of a pool: one that leads to another server takes none before that is told', async () => {
    const servers = [pretended('run-1')]
    const { session, told, admission } = await started(servers, { ordered: false, spread: false })
    await settled()
    servers.push(pretended('run-2'))
    session.ready()
    await admission(1)
    expect(told).toEqual(['reachable', 'replaced, open', 'reachable'])
  })

  it('of a pool: one that leads to a replica takes none, and what was read there is dropped', async () => {
    const server = pretended()
    server.role = 'slave'
    const { session, admission, told } = await started([server], { ordered: false, spread: false })
    expect(admission(0)).toBeUndefined()
    await settled()
    expect(told).toEqual(['replaced, open'])
    expect(gate(session)).toBe('shut')
    await expect(session.ping()).rejects.toThrow('the server is a replica')
  })

  it('are all asked again when one has said that it takes no writes', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session, admission } = await started(servers, { ordered: false, spread: false })
    await settled()
    session.suspect()
    expect(admission(0)).toBeInstanceOf(Promise)
    await Promise.all([admission(0), admission(1)])
    expect(admission(0)).toBeUndefined()
  })

  it('are worth asking while one of them answers', async () => {
    const servers = [pretended('run-1'), pretended('run-2')]
    const { session } = await started(servers)
    await settled()
    const [first, second] = servers
    if (first === undefined || second === undefined) throw new Error('there are two')
    first.errors['PING'] = 'ERR gone'
    await session.ping()
    second.errors['PING'] = 'ERR gone too'
    await expect(session.ping()).rejects.toThrow('ERR gone')
  })
})

describe('What a server forbids', () => {
  it('is told once, by name, whichever way it says so', async () => {
    const server = pretended()
    server.errors['INFO'] = "NOPERM this user has no permissions to run the 'info' command"
    server.errors['CLIENT ID'] = "ERR unknown subcommand 'ID'. Try CLIENT HELP."
    server.errors['EVAL'] = "ERR unknown command 'EVAL', with args beginning with:"
    const opened = open([server])
    await settled()
    await reconnect(opened)
    const names = opened.told.filter((news) => news.startsWith('forbidden'))
    expect(names).toEqual(['forbidden INFO, CLIENT ID, EVAL'])
  })
})
