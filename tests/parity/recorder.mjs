// Records what a Node client sees: every response on the wire, and how every operation ends. See recorder.py.
import { createHash } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import http from 'node:http'
import https from 'node:https'
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'

// A longer body is recorded as its length and digest.
const longest = 64 * 1024

const options = {
  url: { type: 'string' },
  ca: { type: 'string' },
  imds: { type: 'string' },
  faults: { type: 'string' },
  route: { type: 'string', multiple: true, default: [] }
}
const { values, positionals } = parseArgs({ options, allowPositionals: true })
export const { url, ca, imds } = values
export const direct = imds !== undefined

const require = createRequire(`${positionals[0]}/package.json`)
// A package of the directory on the command line.
export const load = async name => import(pathToFileURL(require.resolve(name)))

// Connects to the addresses of a test where a client names a host of Azure's, as `curl --connect-to` does.
const routes = new Map(values.route.map(route => route.split('=')))
const connect = https.Agent.prototype.createConnection
https.Agent.prototype.createConnection = function (options, callback) {
  const route = routes.get(options.host)
  if (route === undefined) return connect.call(this, options, callback)
  const [host, port] = route.split(':')
  return connect.call(this, { ...options, host, port, servername: options.host }, callback)
}

const get = (url, headers) =>
  new Promise((resolve, reject) => {
    http
      .get(url, { headers }, response => {
        let text = ''
        response.on('data', chunk => {
          text += chunk
        })
        response.on('end', () => resolve(text))
      })
      .on('error', reject)
  })

// A token that the machine's metadata service gives to any program.
export const token = async resource => {
  const path = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource='
  return JSON.parse(await get(`${imds}${path}${resource}`, { metadata: 'true' })).access_token
}

const credential = token => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600_000 }) })

// A credential with a token for a resource. Through a mount: what the client takes for none.
export const credentialFor = async (resource, otherwise) => (direct ? credential(await token(resource)) : otherwise)

// For clients that insist on a credential; a mount ignores it.
export const nothing = credential('nothing')

let exchanges = []

const body = data => {
  if (data.length > longest) return { sha256: createHash('sha256').update(data).digest('hex'), length: data.length }
  const text = data.toString('utf8')
  return Buffer.from(text, 'utf8').equals(data) ? { text } : { base64: data.toString('base64') }
}

// All clients that use Node's own HTTP are seen here.
subscribe('http.client.response.finish', ({ request, response }) => {
  // What gets tokens for the test itself is no client.
  if (request.protocol !== 'https:') return
  const headers = []
  for (let at = 0; at < response.rawHeaders.length; at += 2) {
    headers.push([response.rawHeaders[at].toLowerCase(), response.rawHeaders[at + 1]])
  }
  const host = request.getHeader('host').replace(/:443$/, '')
  const exchange = {
    method: request.method,
    url: `https://${host}${request.path}`,
    status: response.statusCode,
    reason: response.statusMessage,
    headers,
    body: { text: '' }
  }
  exchanges.push(exchange)
  const chunks = []
  const push = response.push
  response.push = function (chunk, ...rest) {
    if (chunk) chunks.push(Buffer.from(chunk))
    else exchange.body = body(Buffer.concat(chunks))
    return push.call(this, chunk, ...rest)
  }
})

// A result, as far as a caller sees it, in what JSON has.
const described = async (value, depth = 0) => {
  if (value === undefined || value === null) return null
  if (value instanceof Uint8Array) return body(Buffer.from(value))
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return typeof value === 'function' ? 'a function' : value
  if (depth > 6) return value.constructor.name
  if (Array.isArray(value)) return Promise.all(value.map(item => described(item, depth + 1)))
  if (value[Symbol.asyncIterator] !== undefined && typeof value.byPage === 'function') {
    const items = []
    for await (const item of value) items.push(await described(item, depth + 1))
    return items
  }
  const shown = {}
  for (const [name, item] of Object.entries(value)) {
    // The response as such is recorded already.
    if (
      !['_response', 'readableStreamBody', 'blobDownloadStream', 'request', 'response'].includes(name) &&
      !name.startsWith('_')
    ) {
      shown[name] = await described(item, depth + 1)
    }
  }
  return shown
}

const failure = error => ({
  type: error.name,
  status: error.statusCode ?? null,
  code: error.code ?? null,
  message: error.message
})

// Runs the operations of a client and prints what each did.
export const run = async (name, operations, state) => {
  const { version } = JSON.parse(readFileSync(`${positionals[0]}/node_modules/${name}/package.json`))
  console.log(JSON.stringify({ client: name, version, language: 'Node' }))
  exchanges = []
  for (const [name, operation] of operations) {
    const record = { operation: name }
    try {
      record.result = await described(await operation(state))
    } catch (error) {
      // A mistake here would be the same on both sides.
      if (exchanges.length === 0) throw error
      record.error = failure(error)
    }
    record.exchanges = exchanges
    exchanges = []
    console.log(JSON.stringify(record))
  }
}
