import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { lmdb } from '../../src/lmdb/lmdb-store.ts'
import { remoteStoreConformance } from '../../src/testing/remote-conformance.ts'

remoteStoreConformance({
  name: 'LMDB',
  create: async () => {
    const path = await mkdtemp(join(tmpdir(), 'jetcache-lmdb-'))
    return {
      store: lmdb({ path }),
      endsOnClose: true,
      dispose: () => rm(path, { recursive: true, force: true }),
    }
  },
  describe,
  it,
})
