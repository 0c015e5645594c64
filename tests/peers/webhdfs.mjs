// Drives the `webhdfs` client of npm, unmodified, against a lake that takes data in two steps only.
//
// usage: webhdfs.mjs DIRECTORY URL CA
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { run } from './steps.mjs'

const [directory, address, ca] = process.argv.slice(2)
const { createClient } = createRequire(`${directory}/package.json`)('webhdfs')
const { hostname, port, pathname } = new URL(address)
const options = { protocol: 'https', host: hostname, port, path: `${pathname}/webhdfs/v1` }
const client = createClient(options, { ca: readFileSync(ca) })
const call = (name, ...rest) => promisify(client[name].bind(client))(...rest)
const read = path => call('readFile', path)

const large = randomBytes(3 * 1024 * 1024 + 1)
const steps = {
  mkdir: () => call('mkdir', '/node'),
  write: async () => {
    await call('writeFile', '/node/a.txt', 'one\n')
    assert.equal(String(await read('/node/a.txt')), 'one\n')
  },
  'write-large': async () => {
    await call('writeFile', '/node/large', large)
    assert.ok(large.equals(await read('/node/large')))
  },
  append: async () => {
    await call('appendFile', '/node/a.txt', 'two\n')
    assert.equal(String(await read('/node/a.txt')), 'one\ntwo\n')
  },
  stat: async () => {
    assert.equal((await call('stat', '/node/a.txt')).length, 8)
    assert.deepEqual((await call('readdir', '/node')).map(entry => entry.pathSuffix), ['a.txt', 'large'])
  },
  chmod: async () => {
    await call('chmod', '/node/a.txt', '640')
    assert.equal((await call('stat', '/node/a.txt')).permission, '640')
  },
  rename: async () => {
    await call('rename', '/node/a.txt', '/node/b.txt')
    assert.equal(String(await read('/node/b.txt')), 'one\ntwo\n')
  },
  unlink: async () => {
    await call('unlink', '/node', true)
    await assert.rejects(call('stat', '/node'), /does not exist/)
  }
}

await run(steps)
