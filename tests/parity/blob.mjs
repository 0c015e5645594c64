// Operations of Microsoft's blob client for Node.
import { Buffer } from 'node:buffer'
import { credentialFor, load, run, url } from './recorder.mjs'

const { AnonymousCredential, BlobServiceClient, newPipeline } = await load('@azure/storage-blob')

const KIB = 1024
const BLOCK = 256 * KIB
const DATA = Buffer.alloc(1024 * KIB)
for (let at = 0; at < DATA.length; at += 4) DATA.writeUInt32BE(at, at)
// Names that the service takes, though its documentation advises against some.
const ODD = ['a//b', '/lead', 'back\\slash', 'a%2Fb', 'semi;colon', 'trail/', 'dot.']
const AWKWARD = 'a folder/gr\u00fcn +1 & 100%=50%25 #2?.txt'
const LONG_AGO = new Date('2020-01-01')
const FAR_AHEAD = new Date('2100-01-01')
const UNKNOWN = '"0x1111111111111111"'
const LEASE = '11111111-2222-4333-8444-555555555555'
const OTHER_LEASE = '11111111-2222-4333-8444-666666666666'

const credential = await credentialFor('https://storage.azure.com/', new AnonymousCredential())
// A retry would hide an error.
const service = new BlobServiceClient(url, newPipeline(credential, { retryOptions: { maxTries: 1 } }))
const container = service.getContainerClient('parity-node')
const absent = service.getContainerClient('absent-node')
const blob = name => container.getBlockBlobClient(name)
const appendBlob = name => container.getAppendBlobClient(name)
const pageBlob = name => container.getPageBlobClient(name)
const lease = (name, id = LEASE) => blob(name).getBlobLeaseClient(id)
const etag = async name => (await blob(name).getProperties()).etag
const put = (name, text, options) => blob(name).upload(text, Buffer.byteLength(text), options)
const read = async (client, ...range) => {
  const response = await client.download(...range)
  const chunks = []
  for await (const chunk of response.readableStreamBody) chunks.push(chunk)
  return { ...response, content: Buffer.concat(chunks) }
}
const pages = async list => {
  const names = []
  for await (const page of list) names.push(page.segment.blobItems.map(item => item.name))
  return names
}
const kept = {}

const containers = [
  ['create container', () => container.create({ metadata: { purpose: 'parity' } })],
  ['create container again', () => container.create()],
  ['create container if absent', () => container.createIfNotExists()],
  ['create container with a bad name', () => service.createContainer('Bad_Name')],
  ['container exists', () => container.exists()],
  ['absent container exists', () => absent.exists()],
  ['container properties', () => container.getProperties()],
  ['container properties absent', () => absent.getProperties()],
  ['set container metadata', () => container.setMetadata({ a: '1', b: 'two words' })],
  [
    'set container metadata if modified since',
    () => container.setMetadata({}, { conditions: { ifModifiedSince: FAR_AHEAD } })
  ],
  ['list containers', () => service.listContainers({ prefix: 'parity-node', includeMetadata: true })],
  ['service properties', () => service.getProperties()],
  ['account information', () => service.getAccountInfo()],
  ['lease container', () => container.getBlobLeaseClient(LEASE).acquireLease(60)],
  ['delete leased container', () => container.delete()],
  ['renew container lease', () => container.getBlobLeaseClient(LEASE).renewLease()],
  ['release container lease', () => container.getBlobLeaseClient(LEASE).releaseLease()]
]

const blockBlobs = [
  ['upload', () => put('a.txt', 'a small blob')],
  ['upload with metadata', () => put('a.txt', 'a small blob.', { metadata: { kind: 'small' } })],
  ['upload nothing', () => put('empty', '')],
  ['upload to an awkward name', () => put(AWKWARD, 'awkward')],
  ['upload to an absent container', () => absent.getBlockBlobClient('a').upload('x'.repeat(4096), 4096)],
  ['upload much to an absent container', () => absent.getBlockBlobClient('a').upload(DATA, DATA.length)],
  ['upload much', () => blob('large').upload(DATA, DATA.length)],
  [
    'upload with properties',
    () =>
      put('typed', '{}', {
        blobHTTPHeaders: {
          blobContentType: 'application/json',
          blobContentLanguage: 'de',
          blobContentDisposition: 'attachment; filename="p.json"',
          blobCacheControl: 'max-age=60'
        },
        metadata: { x: '1' }
      })
  ],
  ['upload with tier', () => put('cool', 'cool', { tier: 'Cool' })],
  ['upload with tags', () => put('tagged', 'tagged', { tags: { project: 'parity', n: '1' } })],
  ['upload if unmodified', async () => put('a.txt', 'new', { conditions: { ifMatch: await etag('a.txt') } })],
  ['upload if an old etag', () => put('a.txt', 'no', { conditions: { ifMatch: UNKNOWN } })],
  ['upload if none match', () => put('a.txt', 'no', { conditions: { ifNoneMatch: '*' } })],
  ['upload if unmodified since', () => put('a.txt', 'no', { conditions: { ifUnmodifiedSince: LONG_AGO } })],
  ['stage a block', () => blob('blocks').stageBlock('QUFB', 'first ', 6)],
  ['stage another block', () => blob('blocks').stageBlock('QkJC', 'second', 6)],
  ['stage a block with a bad id', () => blob('blocks').stageBlock('%%%', 'x', 1)],
  ['uncommitted blocks', () => blob('blocks').getBlockList('all')],
  ['commit blocks', () => blob('blocks').commitBlockList(['QUFB', 'QkJC'], { metadata: { n: '2' } })],
  ['commit an unknown block', () => blob('blocks').commitBlockList(['WlpaWg=='])],
  ['committed blocks', () => blob('blocks').getBlockList('committed')],
  ['blocks of an absent blob', () => blob('none').getBlockList('all')]
]

const reads = [
  ['download', () => read(blob('a.txt'))],
  ['download nothing', () => read(blob('empty'))],
  ['download an awkward name', () => read(blob(AWKWARD))],
  ['download to a buffer', () => blob('large').downloadToBuffer(0, undefined, { blockSize: BLOCK, concurrency: 1 })],
  ['download a range', () => read(blob('large'), 1000, 100)],
  ['download the last byte', () => read(blob('large'), DATA.length - 1, 1)],
  ['download past the end', () => read(blob('large'), DATA.length - 5, 100)],
  ['download behind the end', () => read(blob('a.txt'), 100, 10)],
  ['download with MD5 of a range', () => read(blob('large'), 0, 100, { rangeGetContentMD5: true })],
  ['download absent', () => read(blob('none'))],
  ['download from an absent container', () => read(absent.getBlobClient('a'))],
  [
    'download if unmodified',
    async () => read(blob('a.txt'), 0, undefined, { conditions: { ifMatch: await etag('a.txt') } })
  ],
  ['download if an old etag', () => read(blob('a.txt'), 0, undefined, { conditions: { ifMatch: UNKNOWN } })],
  [
    'download if modified',
    async () => read(blob('a.txt'), 0, undefined, { conditions: { ifNoneMatch: await etag('a.txt') } })
  ],
  [
    'download if modified since',
    () => read(blob('a.txt'), 0, undefined, { conditions: { ifModifiedSince: FAR_AHEAD } })
  ],
  [
    'download if unmodified since',
    () => read(blob('a.txt'), 0, undefined, { conditions: { ifUnmodifiedSince: LONG_AGO } })
  ],
  ['properties', () => blob('typed').getProperties()],
  ['properties absent', () => blob('none').getProperties()],
  ['properties if an old etag', () => blob('typed').getProperties({ conditions: { ifMatch: UNKNOWN } })],
  ['properties if modified since', () => blob('typed').getProperties({ conditions: { ifModifiedSince: FAR_AHEAD } })],
  ['blob exists', () => blob('typed').exists()],
  ['absent blob exists', () => blob('none').exists()]
]

const names = ODD.flatMap((name) => [
  [`upload ${name}`, () => put(name, `it is ${name}`)],
  [`download ${name}`, () => read(blob(name))],
  [`copy ${name} synchronously`, () => blob('odd copy').syncCopyFromURL(blob(name).url)],
  [`download a copy of ${name}`, () => read(blob('odd copy'))],
  [`list beside ${name}`, () => container.listBlobsFlat()],
  [`delete ${name}`, () => blob(name).delete()]
])

const changes = [
  ['set metadata', () => blob('typed').setMetadata({ first: '1', second: 'two words' })],
  ['set metadata of an absent blob', () => blob('none').setMetadata({ a: '1' })],
  ['set metadata with a bad name', () => blob('typed').setMetadata({ 'a-b': '1' })],
  ['set headers', () => blob('typed').setHTTPHeaders({ blobContentType: 'text/csv', blobCacheControl: 'no-store' })],
  ['set headers if an old etag', () => blob('typed').setHTTPHeaders({}, { conditions: { ifMatch: UNKNOWN } })],
  ['set tags', () => blob('tagged').setTags({ project: 'node' })],
  ['tags', () => blob('tagged').getTags()],
  [
    'download if tags',
    () => read(blob('tagged'), 0, undefined, { conditions: { tagConditions: '"project"=\'none\'' } })
  ],
  ['set tier', () => blob('cool').setAccessTier('Hot')],
  [
    'snapshot',
    async () => {
      kept.snapshot = await blob('typed').createSnapshot()
      return kept.snapshot
    }
  ],
  ['download snapshot', () => read(blob('typed').withSnapshot(kept.snapshot.snapshot))],
  ['delete a blob with snapshots', () => blob('typed').delete()],
  ['delete snapshots', () => blob('typed').delete({ deleteSnapshots: 'only' })],
  ['lease', () => lease('a.txt').acquireLease(60)],
  ['lease twice', () => lease('a.txt', OTHER_LEASE).acquireLease(60)],
  ['upload without the lease', () => put('a.txt', 'no')],
  ['upload with another lease', () => put('a.txt', 'no', { conditions: { leaseId: OTHER_LEASE } })],
  ['upload with the lease', () => put('a.txt', 'leased', { conditions: { leaseId: LEASE } })],
  ['delete without the lease', () => blob('a.txt').delete()],
  ['renew lease', () => lease('a.txt').renewLease()],
  ['change lease', () => lease('a.txt').changeLease(OTHER_LEASE)],
  ['break lease', () => lease('a.txt', OTHER_LEASE).breakLease(0)],
  ['release a broken lease', () => lease('a.txt', OTHER_LEASE).releaseLease()],
  ['copy', async () => (await blob('copy').beginCopyFromURL(blob(AWKWARD).url, { intervalInMs: 1 })).pollUntilDone()],
  ['copy synchronously', () => blob('copy').syncCopyFromURL(blob(AWKWARD).url)],
  ['copy absent', () => blob('copy').beginCopyFromURL(blob('none').url)],
  ['copy properties', () => blob('copy').getProperties()],
  ['abort a copy that is done', () => blob('copy').abortCopyFromURL(LEASE)]
]

const otherKinds = [
  ['create append blob', () => appendBlob('append').create()],
  ['create append blob if absent', () => appendBlob('append').createIfNotExists()],
  ['append', () => appendBlob('append').appendBlock('first line\n', 11)],
  [
    'append at the end',
    () => appendBlob('append').appendBlock('second line\n', 12, { conditions: { appendPosition: 11 } })
  ],
  ['append at a wrong place', () => appendBlob('append').appendBlock('x', 1, { conditions: { appendPosition: 5 } })],
  ['append to a block blob', () => appendBlob('a.txt').appendBlock('x', 1)],
  ['create page blob', () => pageBlob('pages').create(4096)],
  ['create page blob of a bad size', () => pageBlob('pages').create(1000)],
  ['upload page', () => pageBlob('pages').uploadPages(Buffer.alloc(512, 'p'), 512, 512)],
  ['clear page', () => pageBlob('pages').clearPages(512, 512)],
  ['page ranges', () => pageBlob('pages').getPageRanges(0, 4096)],
  ['resize page blob', () => pageBlob('pages').resize(8192)],
  ['set sequence number', () => pageBlob('pages').updateSequenceNumber('update', 7)],
  ['download page blob', () => read(pageBlob('pages'))]
]

const lists = [
  ['list blobs', () => container.listBlobsFlat()],
  [
    'list blobs with everything',
    () =>
      container.listBlobsFlat({
        includeMetadata: true,
        includeSnapshots: true,
        includeTags: true,
        includeUncommitedBlobs: true
      })
  ],
  ['list blobs by prefix', () => container.listBlobsFlat({ prefix: 'a' })],
  ['list blobs in pages', () => pages(container.listBlobsFlat().byPage({ maxPageSize: 3 }))],
  ['list of an absent container', () => absent.listBlobsFlat()],
  ['list by hierarchy', () => container.listBlobsByHierarchy('/')],
  ['find by tags', () => service.findBlobsByTags('"project"=\'node\'')]
]

const deletions = [
  ['delete if an old etag', () => blob('copy').delete({ conditions: { ifMatch: UNKNOWN } })],
  ['delete', () => blob('copy').delete()],
  ['delete again', () => blob('copy').delete()],
  ['delete if it exists', () => blob('copy').deleteIfExists()],
  ['undelete', () => blob('copy').undelete()],
  [
    'set tiers in a batch',
    () => service.getBlobBatchClient().setBlobsAccessTier([blob('a.txt'), blob('empty')], 'Cool')
  ],
  ['delete a batch', () => service.getBlobBatchClient().deleteBlobs([blob('a.txt'), blob('none'), blob('empty')])],
  ['delete container if modified since', () => container.delete({ conditions: { ifModifiedSince: FAR_AHEAD } })],
  ['delete container', () => container.delete()],
  ['delete container again', () => container.delete()],
  ['upload to a deleted container', () => put('a', 'x')]
]

await run('@azure/storage-blob', [
  ...containers,
  ...blockBlobs,
  ...reads,
  ...names,
  ...changes,
  ...otherKinds,
  ...lists,
  ...deletions
])
