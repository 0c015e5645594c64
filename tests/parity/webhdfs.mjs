// Operations of npm's `webhdfs` client, against Data Lake Gen1.
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { ca, direct, load, run, token, url } from './recorder.mjs'

const { createClient } = (await load('webhdfs')).default

const { hostname, port, pathname } = new URL(url)
const options = {
  protocol: 'https',
  host: hostname,
  port: port || 443,
  path: `${pathname.replace(/\/$/, '')}/webhdfs/v1`
}
const headers = direct ? { authorization: `Bearer ${await token('https://datalake.azure.net/')}` } : {}
const client = createClient(options, { ca: readFileSync(ca), headers })
const call = (name, ...rest) => promisify(client[name].bind(client))(...rest)
const data = Buffer.alloc(1024 * 1024)
for (let at = 0; at < data.length; at += 4) data.writeUInt32BE(at, at)

await run('webhdfs', [
  ['list', () => call('readdir', '/reports')],
  ['list absent', () => call('readdir', '/none')],
  ['make directory', () => call('mkdir', '/node')],
  ['create', () => call('writeFile', '/node/a.txt', 'one\n')],
  ['create large', () => call('writeFile', '/node/large', data)],
  ['create empty', () => call('writeFile', '/node/empty', '')],
  ['append', () => call('appendFile', '/node/a.txt', 'two\n')],
  ['append to an absent file', () => call('appendFile', '/node/none', 'x')],
  ['open', () => call('readFile', '/node/a.txt')],
  ['open large', () => call('readFile', '/node/large')],
  ['open absent', () => call('readFile', '/node/none')],
  ['status', () => call('stat', '/node/a.txt')],
  ['status absent', () => call('stat', '/node/none')],
  ['exists', () => new Promise(resolve => client.exists('/node/a.txt', resolve))],
  ['absent exists', () => new Promise(resolve => client.exists('/node/none', resolve))],
  ['list directory', () => call('readdir', '/node')],
  ['set permission', () => call('chmod', '/node/a.txt', '640')],
  ['set owner', () => call('chown', '/node/a.txt', 'somebody', 'others')],
  ['rename', () => call('rename', '/node/a.txt', '/node/b.txt')],
  ['rename absent', () => call('rename', '/node/none', '/node/other')],
  ['remove', () => call('unlink', '/node/b.txt')],
  ['remove again', () => call('unlink', '/node/b.txt')],
  ['remove all', () => call('unlink', '/node', true)]
])
