// Operations of Microsoft's client for secrets for Node.
import { credentialFor, direct, load, nothing, run, url } from './recorder.mjs'

const { SecretClient } = await load('@azure/keyvault-secrets')

const client = new SecretClient(url, await credentialFor('https://vault.azure.net', nothing), {
  // All that a client needs to be told of a mount.
  disableChallengeResourceVerification: !direct,
  retryOptions: { maxRetries: 0 }
})
const soon = { intervalInMs: 1 }
const done = async poller => (await poller).pollUntilDone()
const kept = {}
const keep = async (name, value) => {
  kept[name] = await value
  return kept[name]
}
const many = async () => {
  for (let number = 0; number < 30; number++) await client.setSecret(`page-${number}`, 'x')
}

await run('@azure/keyvault-secrets', [
  ['set secret', () => client.setSecret('parity', 'one', { contentType: 'text/plain', tags: { a: 'b' } })],
  ['get secret', () => keep('first', client.getSecret('parity'))],
  ['set secret again', () => client.setSecret('parity', 'two', { expiresOn: new Date('2100-01-01') })],
  ['get secret version', () => client.getSecret('parity', { version: kept.first.properties.version })],
  ['get absent secret', () => client.getSecret('none')],
  ['set secret with a bad name', () => client.setSecret('a_b', 'x')],
  ['update secret', () => client.updateSecretProperties('parity', kept.first.properties.version, { tags: { c: 'd' } })],
  ['update absent secret', () => client.updateSecretProperties('none', '0'.repeat(32), { tags: {} })],
  ['disable secret', () => client.updateSecretProperties('parity', kept.first.properties.version, { enabled: false })],
  ['get disabled secret', () => client.getSecret('parity', { version: kept.first.properties.version })],
  ['set many secrets', many],
  ['list secrets in pages', () => client.listPropertiesOfSecrets()],
  ['list versions', () => client.listPropertiesOfSecretVersions('parity')],
  ['delete secret', () => done(client.beginDeleteSecret('parity', soon))],
  ['get deleted secret as if it was not', () => client.getSecret('parity')],
  ['set deleted secret', () => client.setSecret('parity', 'again')],
  ['list deleted secrets', () => client.listDeletedSecrets()],
  ['get deleted secret', () => client.getDeletedSecret('parity')],
  ['recover secret', () => done(client.beginRecoverDeletedSecret('parity', soon))],
  ['back up secret', () => keep('backup', client.backupSecret('parity'))],
  ['restore secret that is there', () => client.restoreSecretBackup(kept.backup)],
  ['delete secret again', () => done(client.beginDeleteSecret('parity', soon))],
  ['purge secret', () => client.purgeDeletedSecret('parity')],
  ['get purged secret', () => client.getDeletedSecret('parity')],
  ['restore secret', () => client.restoreSecretBackup(kept.backup)]
])
