// Drives Microsoft's own client for secrets, unmodified, against a vault, with a credential that is worth nothing.
//
// usage: keyvault.mjs DIRECTORY URL, with NODE_EXTRA_CA_CERTS
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { run } from './steps.mjs'

const [directory, url] = process.argv.slice(2)
const require = createRequire(`${directory}/package.json`)
const { SecretClient } = await import(pathToFileURL(require.resolve('@azure/keyvault-secrets')))

const nothing = { getToken: async () => ({ token: 'nothing', expiresOnTimestamp: Date.now() + 3600_000 }) }
const options = { disableChallengeResourceVerification: true, retryOptions: { maxRetries: 0 } }
// A client that knows of no challenge yet.
const client = () => new SecretClient(url, nothing, options)

const list = async items => {
  const names = []
  for await (const item of items) names.push(item.name)
  return names.sort()
}
const refused = (status, call) =>
  assert.rejects(call, error => {
    assert.equal(error.statusCode, status, error.message)
    return true
  })

const vault = client()
let first
const steps = {
  'set-secret-first': async () => {
    const made = await vault.setSecret('node', 'one', { tags: { a: 'b' } })
    assert.deepEqual([made.value, made.properties.tags], ['one', { a: 'b' }])
    assert.equal((await vault.getSecret('node')).value, 'one')
    first = made.properties.version
  },
  'secret-versions': async () => {
    await vault.setSecret('node', 'two')
    assert.equal((await vault.getSecret('node')).value, 'two')
    assert.equal((await vault.getSecret('node', { version: first })).value, 'one')
    assert.equal((await list(vault.listPropertiesOfSecretVersions('node'))).length, 2)
  },
  'update-secret-first': async () => {
    const updated = await client().updateSecretProperties('node', first, { tags: { c: 'd' } })
    assert.deepEqual(updated.tags, { c: 'd' })
    assert.deepEqual((await vault.getSecret('node', { version: first })).properties.tags, { c: 'd' })
  },
  'read-first': async () => {
    const reads = client()
    assert.equal((await reads.getSecret('node')).value, 'two')
    assert.equal((await reads.setSecret('other', 'x')).value, 'x')
  },
  'list-secrets': async () => {
    for (let number = 0; number < 30; number++) await vault.setSecret(`node-page-${number}`, 'x')
    const names = await list(vault.listPropertiesOfSecrets())
    assert.equal(names.filter(name => name.startsWith('node-page-')).length, 30)
  },
  'missing-secret': () => refused(404, vault.getSecret('none')),
  'delete-secret': async () => {
    const poller = await vault.beginDeleteSecret('node', { intervalInMs: 1 })
    assert.equal((await poller.pollUntilDone()).name, 'node')
    await refused(404, vault.getSecret('node'))
    await refused(409, vault.setSecret('node', 'again'))
    assert.deepEqual(await list(vault.listDeletedSecrets()), ['node'])
    assert.equal((await vault.getDeletedSecret('node')).name, 'node')
    await (await vault.beginRecoverDeletedSecret('node', { intervalInMs: 1 })).pollUntilDone()
    assert.equal((await vault.getSecret('node')).value, 'two')
  },
  'back-up-secret': async () => {
    const backup = await client().backupSecret('node')
    await (await vault.beginDeleteSecret('node', { intervalInMs: 1 })).pollUntilDone()
    await vault.purgeDeletedSecret('node')
    await refused(404, vault.getDeletedSecret('node'))
    assert.equal((await client().restoreSecretBackup(backup)).name, 'node')
    assert.equal((await vault.getSecret('node')).value, 'two')
  },
  verification: async () => {
    const checking = new SecretClient(url, nothing, { retryOptions: { maxRetries: 0 } })
    await assert.rejects(checking.setSecret('node', 'x'), /disableChallengeResourceVerification/)
  }
}

await run(steps)
