// Real web pages against a daemon, in headless Chromium: what pages of other origins try, and what
// a page of a named origin may do.
//
// Each attack is also made on a server that answers everything, which shows that the browser sends
// it.
//
// usage: browser.mjs DIRECTORY CHROMIUM TCP TLS, where TCP and TLS are the ports of the listeners
import assert from 'node:assert/strict'
import http from 'node:http'
import { createRequire } from 'node:module'
import { run } from './steps.mjs'

const [directory, executablePath, tcp, tls] = process.argv.slice(2)
const { chromium } = createRequire(`${directory}/package.json`)('playwright-core')

const listen = handler =>
  new Promise(resolve => {
    const server = http.createServer(handler).listen(0, '127.0.0.1', () => resolve(server.address().port))
  })
const pages = await listen((_, response) => {
  response.setHeader('content-type', 'text/html')
  response.end('<!doctype html><title>page</title>')
})
const served = []
const witness = await listen((request, response) => {
  served.push(request.url)
  request.resume()
  response.setHeader('content-type', 'text/html')
  response.end('<title>served</title>')
})
// What a browser would send that knows no `sec-fetch-site`, and whose pages hide where they are.
const older = keepsPolicy =>
  listen((request, response) => {
    const headers = Object.entries(request.headers).filter(([name]) => !/^(sec-|origin$|referer$)/.test(name))
    const options = { port: tcp, path: request.url, method: request.method }
    const sent = http.request({ ...options, headers: { ...Object.fromEntries(headers), host: `localhost:${tcp}` } })
    sent.on('response', answer => {
      const fields = { ...answer.headers }
      if (!keepsPolicy) delete fields['content-security-policy']
      response.writeHead(answer.statusCode, fields)
      answer.pipe(response)
    })
    request.pipe(sent)
  })

const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox',
    '--host-resolver-rules=MAP *.example 127.0.0.1',
    // Chromium's own protection is not what is tested, and other browsers lack it.
    '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets'
  ]
})
const context = await browser.newContext({ ignoreHTTPSErrors: true })
const evil = `http://evil.example:${pages}/`
const SQL = '{"sql": "delete from orders -- '

// What a page does, which makes the browser send one request.
const attacks = {
  form: ['/orders/execute', (url, sql) => {
    const form = document.createElement('form')
    Object.assign(form, { action: url, method: 'post', enctype: 'text/plain' })
    const input = Object.assign(document.createElement('input'), { name: sql, value: '"}' })
    form.append(input)
    document.body.append(form)
    form.submit()
  }],
  'form-in-a-frame': ['/orders/execute', (url, sql) => {
    document.body.innerHTML = '<iframe name="frame"></iframe>'
    const form = document.createElement('form')
    Object.assign(form, { action: url, method: 'post', enctype: 'text/plain', target: 'frame' })
    form.append(Object.assign(document.createElement('input'), { name: sql, value: '"}' }))
    document.body.append(form)
    form.submit()
  }],
  'no-cors-fetch': ['/orders/execute', (url, sql) => {
    fetch(url, { method: 'POST', mode: 'no-cors', body: `${sql}"}` }).catch(() => {})
  }],
  'no-cors-fetch-without-a-body': ['/orders/queries/clear', url => {
    fetch(url, { method: 'POST', mode: 'no-cors' }).catch(() => {})
  }],
  'no-cors-fetch-that-hides-its-page': ['/orders/execute', (url, sql) => {
    const options = { method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer' }
    fetch(url, { ...options, body: `${sql}"}` }).catch(() => {})
  }],
  beacon: ['/orders/execute', (url, sql) => void navigator.sendBeacon(url, `${sql}"}`)],
  'cors-fetch': ['/vault/secrets/db', url => void fetch(url).catch(() => {})],
  'cors-fetch-in-a-sandboxed-frame': ['/vault/secrets/db', url => {
    const frame = Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts' })
    const says = 'parent.postMessage("blocked", "*")'
    frame.srcdoc = `<script>fetch(${JSON.stringify(url)}).catch(() => ${says})</script>`
    document.body.append(frame)
    // The requests of such a frame are not always reported.
    return new Promise(resolve => { onmessage = ({ data }) => resolve(data) })
  }],
  image: ['/blobs/hello/world.txt', url => {
    document.body.append(Object.assign(new Image(), { src: url, referrerPolicy: 'no-referrer' }))
  }],
  script: ['/blobs/hello/world.txt', url => {
    document.body.append(Object.assign(document.createElement('script'), { src: url }))
  }],
  'style-sheet': ['/blobs/hello/world.txt', url => {
    document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: url }))
  }],
  frame: ['/blobs/hello/page.html', url => {
    document.body.append(Object.assign(document.createElement('iframe'), { src: url }))
  }],
  navigation: ['/blobs/hello/page.html', url => void (location = url)],
  'navigation-that-hides-its-page': ['/blobs/hello/page.html', url => {
    const link = Object.assign(document.createElement('a'), { href: url, rel: 'noreferrer' })
    document.body.append(link)
    link.click()
  }]
}

// What comes of the one request that a page sends: the status of its response, or `blocked` where
// the browser keeps the response from the page, and from this program.
const outcomeOf = async (address, path, attack) => {
  const page = await context.newPage()
  await page.goto(evil)
  const url = address + path
  const isIt = request => request.url() === url && request.method() !== 'OPTIONS'
  const options = { timeout: 60_000 }
  const reported = Promise.race([
    page.waitForEvent('response', { ...options, predicate: response => isIt(response.request()) }),
    page.waitForEvent('requestfailed', { ...options, predicate: isIt })
  ]).then(event => (event.status ? event.status() : 'blocked'))
  // A navigation may end the page before it says that it acted.
  const acts = page.evaluate(`(${attack})(${JSON.stringify(url)}, ${JSON.stringify(SQL)})`).catch(() => {})
  const outcome = await Promise.race([reported, acts.then(said => said ?? reported)])
  reported.catch(() => {})
  await page.close()
  return outcome
}

// The audit shows that each of these requests got 403: the test counts them.
const steps = {}
for (const [name, [path, attack]] of Object.entries(attacks)) {
  steps[name] = async () => {
    served.length = 0
    await outcomeOf(`http://localhost:${witness}`, path, attack)
    assert.ok(served.includes(path), 'the browser sends it')
    for (const address of [`http://localhost:${tcp}`, `http://127.0.0.1:${tcp}`, `https://localhost:${tls}`]) {
      assert.ok([403, 'blocked'].includes(await outcomeOf(address, path, attack)), address)
    }
  }
}

steps['typed-address'] = async () => {
  const page = await context.newPage()
  const response = await page.goto(`http://localhost:${tcp}/blobs/hello/page.html`)
  assert.equal(response.status(), 403)
  assert.match(await page.content(), /web-page/)
  await page.close()
}

steps['web-socket'] = async () => {
  for (const address of [`ws://localhost:${tcp}`, `ws://127.0.0.1:${tcp}`, `wss://localhost:${tls}`]) {
    const page = await context.newPage()
    await page.goto(evil)
    const opened = await page.evaluate(url => new Promise(resolve => {
      const socket = new WebSocket(url)
      socket.onopen = () => resolve(true)
      socket.onerror = () => resolve(false)
    }), `${address}/blobs/hello/web-socket`)
    assert.equal(opened, false)
    await page.close()
  }
}

// The page's own name leads to the daemon by now: for the browser it is the page's own server.
steps['dns-rebinding'] = async () => {
  for (const origin of [`http://rebound.example:${tcp}`, `https://rebound.example:${tls}`]) {
    const page = await context.newPage()
    await page.route(`${origin}/`, route => route.fulfill({ contentType: 'text/html', body: '<title>page</title>' }))
    await page.goto(`${origin}/`)
    const read = path => page.evaluate(async path => {
      const response = await fetch(path)
      return [response.status, await response.text()]
    }, path)
    const [status, text] = await read('/vault/secrets/db')
    assert.equal(status, 421)
    assert.match(text, /urn:keyward:problem:misdirected/)
    const executed = await page.evaluate(async sql => {
      const headers = { 'content-type': 'application/json' }
      return (await fetch('/orders/execute', { method: 'POST', headers, body: `${sql}"}` })).status
    }, SQL)
    assert.equal(executed, 421)
    await page.close()
  }
}

// A blob that is a page with a script, in a browser whose requests look like a program's.
steps['script-in-a-blob'] = async () => {
  for (const [keepsPolicy, expected] of [[false, 'the script ran'], [true, 'a page']]) {
    const port = await older(keepsPolicy)
    const page = await context.newPage()
    const response = await page.goto(`http://localhost:${port}/blobs/hello/page.html`)
    assert.equal(response.status(), 200)
    assert.equal(await page.title(), expected)
    assert.equal(await page.evaluate('origin'), keepsPolicy ? 'null' : `http://localhost:${port}`)
    await page.close()
  }
}

steps['no-frame-and-no-script-tag-shows-a-blob'] = async () => {
  const port = await older(true)
  const page = await context.newPage()
  await page.goto(evil)
  const failed = (tag, path) => page.evaluate(([tag, url]) => new Promise(resolve => {
    const element = Object.assign(document.createElement(tag), { src: url })
    element.onload = () => resolve(false)
    element.onerror = () => resolve(true)
    document.body.append(element)
  }), [tag, `http://localhost:${port}${path}`])
  assert.equal(await failed('script', '/blobs/hello/script.js'), true)
  assert.equal(await failed('img', '/blobs/hello/image.svg'), true)
  const framed = page.waitForResponse(response => response.url().endsWith('/page.html'))
  await page.evaluate(url => {
    document.body.append(Object.assign(document.createElement('iframe'), { src: url }))
  }, `http://localhost:${port}/blobs/hello/page.html`)
  await framed
  const titles = await Promise.all(page.frames().slice(1).map(frame => frame.title().catch(() => '')))
  assert.ok(!titles.includes('a page') && !titles.includes('the script ran'), titles.join())
  await page.close()
}

// The configuration names the origin `https://app.example`.
steps['a-page-of-a-named-origin'] = async () => {
  for (const address of [`http://localhost:${tcp}`, `https://localhost:${tls}`]) {
    const page = await context.newPage()
    await page.route('https://app.example/', route => route.fulfill({ contentType: 'text/html', body: '<title>app</title>' }))
    await page.goto('https://app.example/')
    const query = await page.evaluate(async address => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ sql: 'select count(*) from orders' })
      const response = await fetch(`${address}/orders/query`, { method: 'POST', headers, body })
      return [response.status, (await response.json()).rows, response.headers.get('x-keyward-call') !== null]
    }, address)
    assert.deepEqual(query, [200, [[3]], true])
    const missing = await page.evaluate(async address => (await fetch(`${address}/nowhere`)).status, address)
    assert.equal(missing, 404)
    await page.close()
  }
}

await run(steps)
await browser.close()
process.exit(0)
