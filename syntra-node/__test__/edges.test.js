'use strict'
// Where a native module meets Node: exit, workers, abort, the binary itself.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { createServer } = require('node:http')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')
const { CancelledError, ConfigError, InvalidInputError, Syntra } = require('..')
const { loadNative, platformName } = require('../dist/native')
const { startMock } = require('./mock')

const me = { org: 'acme', user: 'ada' }
const hanging = { models: { m1: [{ pieces: ['begin'], hang: true }] } }
const head = `const { Syntra } = require(${JSON.stringify(join(__dirname, '..'))}); const me = { org: 'a', user: 'b' };`

const node = (code) => run(head + code)

function run(code) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (out += data))
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, out })
    })
  })
}

const own = `const own = { name: 'mine', models: ['m1'], async *stream() { for (let n = 0; ; n++) { yield String(n); await null } } };`
const exits = {
  idle: `Syntra.open()`,
  'right after an await': `Syntra.open().then((s) => s.remember(me, 'x is y'))`,
  'with a lent object and nothing to do': `${own} Syntra.open({ providers: [own] }).then((s) => { globalThis.kept = s })`,
  'with a stream half read': `${own} (async () => {
    const s = await Syntra.open({ providers: [own] })
    for await (const event of s.stream(me, 'hello')) if (event.type === 'text') break
  })()`,
  'by process.exit with calls under way': `${own} (async () => {
    const s = await Syntra.open({ providers: [own] })
    for (let n = 0; n < 20; n++) s.remember(me, 'number ' + n)
    s.ask(me, 'hello')
    setImmediate(() => process.exit(0))
  })()`,
}
for (const [how, code] of Object.entries(exits)) {
  test(`the process exits cleanly: ${how}`, async () => {
    const runs = Number(process.env.SYNTRA_EXIT_RUNS ?? 8)
    const ended = []
    for (let n = 0; n < runs; n += 4) ended.push(...(await Promise.all(Array.from({ length: 4 }, () => node(code)))))
    const bad = ended.filter((e) => e.code !== 0 || e.out.includes('panicked'))
    assert.deepEqual(bad, [])
  })
}

test('a worker can be ended with calls under way', async () => {
  const code = `${head} ${own} Syntra.open({ providers: [own] }).then((s) => {
    s.ask(me, 'hello').catch(() => undefined)
    require('node:worker_threads').parentPort.postMessage('asked')
  })`
  for (let n = 0; n < 3; n++) {
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
  }
})

test('aborting closes the connection upstream', async (t) => {
  const mock = await startMock(t, hanging)
  const syntra = await Syntra.open({ providers: [{ name: 'alpha', baseUrl: mock.baseUrl('alpha'), models: ['m1'] }] })
  t.after(() => syntra.close())
  const stop = new AbortController()
  const reading = (async () => {
    for await (const event of syntra.stream(me, 'hello', { signal: stop.signal })) assert.notEqual(event.type, 'done')
  })()
  const asking = syntra.ask(me, 'hello', { signal: stop.signal })
  await mock.waitFor((log) => log.length === 2)
  const rejected = Promise.all([reading, asking].map((call) => assert.rejects(call, { name: 'AbortError' })))
  stop.abort()
  await rejected
  await mock.waitFor((log) => log.every((entry) => entry.aborted))
  await assert.rejects(syntra.ask(me, 'hello', { signal: AbortSignal.abort() }), { name: 'AbortError' })
  assert.equal((await mock.log()).length, 2)
})

test('reads of a stream that overlap lose nothing', async (t) => {
  const provider = { name: 'mine', models: ['m1'], async *stream() { for (let n = 0; n < 50; n++) yield `${n} ` } }
  const syntra = await Syntra.open({ providers: [provider] })
  t.after(() => syntra.close())
  const stream = syntra.stream(me, 'hello')
  const steps = await Promise.all(Array.from({ length: 100 }, () => stream.next()))
  const text = steps.map((step) => (step.value?.type === 'text' ? step.value.text : '')).join('')
  assert.equal(text, Array.from({ length: 50 }, (_, n) => `${n} `).join(''))
  assert.equal(steps.filter((step) => step.value?.type === 'done').length, 1)
  assert.deepEqual(await stream.next(), { done: true, value: undefined })
})

test('a hundred streams at once', async (t) => {
  const provider = { name: 'mine', models: ['m1'], async *stream() { for (let n = 0; n < 20; n++) { yield `${n} `; await null } } }
  const syntra = await Syntra.open({ providers: [provider] })
  t.after(() => syntra.close())
  const one = async () => {
    let text = ''
    for await (const piece of syntra.stream(me, 'go', { recall: false, remember: false }).texts()) text += piece
    return text
  }
  const texts = await Promise.all(Array.from({ length: 100 }, one))
  assert.equal(new Set(texts).size, 1)
  assert.equal(texts[0], Array.from({ length: 20 }, (_, n) => `${n} `).join(''))
})

test('leaving a loop and disposing of a stream close the connection upstream', async (t) => {
  const mock = await startMock(t, hanging)
  const syntra = await Syntra.open({ providers: [{ name: 'alpha', baseUrl: mock.baseUrl('alpha'), models: ['m1'] }] })
  t.after(() => syntra.close())
  for await (const event of syntra.stream(me, 'hello')) if (event.type === 'text') break
  await mock.waitFor((log) => log.length === 1 && log[0].aborted)
  const stream = syntra.stream(me, 'hello')
  while ((await stream.next()).value.type !== 'text') { /* until it is under way */ }
  await stream[Symbol.asyncDispose]()
  await mock.waitFor((log) => log.length === 2 && log[1].aborted)
  assert.deepEqual(await stream.next(), { done: true, value: undefined })
})

test('every call takes a signal', async (t) => {
  const syntra = await Syntra.open()
  t.after(() => syntra.close())
  const gone = { signal: AbortSignal.abort() }
  const calls = [
    syntra.trace(me, 'x', gone), syntra.feedback(me, 'x', 1, gone), syntra.experiments(me, gone), syntra.exportLearned(me, gone), syntra.importLearned(me, {}, gone),
    syntra.resetLearned(me, gone), syntra.countTokens('m1', 'x', gone), syntra.providers(gone), syntra.models(gone), syntra.health(gone),
  ]
  for (const call of calls) await assert.rejects(call, { name: 'AbortError' })
})

test('disposal closes, and a closed client says so', async () => {
  const disposed = await Syntra.open()
  await disposed[Symbol.asyncDispose]()
  await assert.rejects(disposed.health(), CancelledError)
  const syntra = await Syntra.open()
  syntra.close()
  syntra.close()
  await assert.rejects(syntra.health(), CancelledError)
  assert.throws(() => syntra.stream(me, 'hello'), CancelledError)
})

test('wrong arguments are named', async (t) => {
  const syntra = await Syntra.open()
  t.after(() => syntra.close())
  await assert.rejects(syntra.ask(me, 'hello', { temprature: 1 }), /temprature/)
  await assert.rejects(syntra.ask({ org: 'acme' }, 'hello'), InvalidInputError)
  await assert.rejects(syntra.ask(me, ''), InvalidInputError)
  await assert.rejects(Syntra.open({ providers: [{ name: 'unheard-of' }] }), ConfigError)
  await assert.rejects(Syntra.open({ dataDirectory: 'x' }), /data_directory|dataDirectory/)
})

test('times are dates, and absent is undefined', async (t) => {
  const syntra = await Syntra.open()
  t.after(() => syntra.close())
  const saidAt = new Date('2024-05-03T10:00:00.000Z')
  const [{ id }] = await syntra.remember(me, { text: 'We met.', kind: 'episodic', saidAt, metadata: { some_key: { innerKey: null } } })
  const [memory] = await syntra.memories(me, id)
  assert.deepEqual(memory.saidAt, saidAt)
  assert.deepEqual(memory.metadata, { some_key: { innerKey: null } })
  assert.equal(memory.validTo, undefined)
})

test('from the environment', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  const code = `process.env.OPENAI_API_KEY = 'sk-x'; process.env.ANTHROPIC_API_KEY = 'sk-y'; process.env.SYNTRA_DATA_DIR = ${JSON.stringify(folder)};
    Syntra.fromEnv().then(async (s) => console.log((await s.providers()).join()))`
  const { code: status, out } = await node(code)
  rmSync(folder, { recursive: true, force: true })
  assert.equal(status, 0, out)
  const names = out.trim().split(',')
  assert.ok(names.includes('openai') && names.includes('anthropic'), out)
})

test('from the environment, with the models that may be called', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  const code = `process.env.OPENAI_API_KEY = 'sk-x'; process.env.SYNTRA_MODELS = 'openai/gpt-one, openai/gpt-two'; process.env.SYNTRA_DATA_DIR = ${JSON.stringify(folder)};
    Syntra.fromEnv().then(async (s) => console.log((await s.models()).map((m) => m.model).join()))`
  const { out } = await node(code)
  rmSync(folder, { recursive: true, force: true })
  assert.equal(out.trim(), 'gpt-one,gpt-two')
})

test('a server of embeddings', async (t) => {
  const asked = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (data) => (body += data))
    request.on('end', () => {
      const { model, input } = JSON.parse(body)
      asked.push({ model, input, authorization: request.headers.authorization })
      const data = input.map((text, index) => ({ index, embedding: [Number(text.includes('cat')), Number(text.includes('dog')), 0.1] }))
      response.end(JSON.stringify({ data }))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const baseUrl = `http://127.0.0.1:${server.address().port}/v1`
  const syntra = await Syntra.open({ embedder: { name: 'own', apiKey: 'sk-secret', baseUrl, model: 'axes', queryPrefix: 'q: ', cacheBytes: 2 ** 20 } })
  t.after(() => syntra.close())
  assert.equal((await syntra.health()).embedder, 'own/axes@3')
  await syntra.remember(me, ['the dog barks', 'the cat sleeps'])
  assert.equal((await syntra.recall(me, 'a cat')).items[0].memory.text, 'the cat sleeps')
  assert.deepEqual(asked.at(-1), { model: 'axes', input: ['q: a cat'], authorization: 'Bearer sk-secret' })
  const many = asked.length
  await syntra.recall(me, 'a cat')
  assert.equal(asked.length, many)
  const wrong = [[{ name: 'own' }, /base_url/], [{ name: 'openai', model: 'x' }, /dimensions/], [{ name: 'static', file: 'nowhere.bin' }, /nowhere/]]
  for (const [embedder, message] of wrong) await assert.rejects(Syntra.open({ embedder }), { message })
})

test('a misspelt setting of a server is named', async () => {
  await assert.rejects(Syntra.open({ providers: [{ name: 'openai', apikey: 'sk-x' }] }), { kind: 'config', message: /openai.*apikey/ })
  await assert.rejects(Syntra.open({ embedder: { name: 'openai', modle: 'x' } }), { kind: 'config', message: /openai.*modle/ })
})

test('importing takes little', async () => {
  // At most 50 ms and 30 MB on a machine of one's own; here a machine may be busy, so what counts is what is not done.
  const [index, native] = ['..', '../dist/native'].map((path) => JSON.stringify(join(__dirname, path)))
  const child = `const before = process.memoryUsage.rss(), cpu = process.cpuUsage(); require(${index}); require(${native}).native()
    const used = process.cpuUsage(cpu)
    console.log(JSON.stringify({ ms: (used.user + used.system) / 1000, bytes: process.memoryUsage.rss() - before }))`
  const { out } = await run(child)
  const { ms, bytes } = JSON.parse(out)
  assert.ok(ms < 500 && bytes < 30e6, out)
})

test('a missing binary is told apart and what to do is said', () => {
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  assert.throws(() => loadNative('plan9-mips', folder), /no native binary for plan9-mips.*syntra-plan9-mips.*npm run build/s)
  writeFileSync(join(folder, `syntra.${platformName()}.node`), 'not a library')
  assert.throws(() => loadNative(platformName(), folder), /Tried .*syntra\./s)
  rmSync(folder, { recursive: true, force: true })
})

test('the network of a server: proxy, roots, bounds', async (t) => {
  const mock = await startMock(t, { models: { m1: [{ pieces: ['word '.repeat(200)] }] } })
  const alpha = (network) => ({ name: 'alpha', baseUrl: mock.baseUrl('alpha'), models: ['m1'], ...network })
  const open = async (network) => {
    const syntra = await Syntra.open({ providers: [alpha(network)], extractiveFallback: false })
    t.after(() => syntra.close())
    return syntra
  }
  // Loopback is reached without it.
  const proxied = await open({ proxy: 'http://ada:hunter2@127.0.0.1:1' })
  assert.match((await proxied.ask(me, 'hello')).text, /^word/)
  const short = await open({ maxResponseBytes: 300 })
  await assert.rejects(short.ask(me, 'hello'), { kind: 'decode', message: /300 bytes/ })
  const told = await open({ headers: { 'X-Team': 'blue' }, maxEventBytes: 2 ** 20, httpVersion: 'http1', streamsPerConnection: 3, timeout: { total: 30 } })
  assert.match((await told.ask(me, 'hello')).text, /^word/)
  assert.equal((await mock.log()).at(-1).headers['x-team'], 'blue')
  const tight = await open({ maxEventBytes: 100 })
  await assert.rejects(async () => { for await (const _ of tight.stream(me, 'hello')) { /* read on */ } }, /100/)
  const narrow = await open({ maxStreamBytes: 300 })
  await assert.rejects(async () => { for await (const _ of narrow.stream(me, 'hello')) { /* read on */ } }, { kind: 'decode', message: /300 bytes/ })
  await assert.rejects(open({ proxy: 'socks5://ada:hunter2@proxy:1080' }), (error) => {
    assert.ok(error instanceof ConfigError && /proxy/.test(error.message) && !/hunter2/.test(error.message))
    return true
  })
  await assert.rejects(open({ caFile: '/no/such/roots.pem' }), { kind: 'config', message: /roots\.pem/ })
})
