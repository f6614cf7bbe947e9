'use strict'
// Where a native module meets Node: exit, workers, abort, the binary itself.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
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

function node(code) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', head + code], { stdio: ['ignore', 'pipe', 'pipe'] })
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

test('disposal closes, and a closed client says so', async () => {
  const syntra = await Syntra.open()
  if (Symbol.asyncDispose !== undefined) await syntra[Symbol.asyncDispose]()
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
  const narrow = await open({ maxStreamBytes: 300 })
  await assert.rejects(async () => { for await (const _ of narrow.stream(me, 'hello')) { /* read on */ } }, { kind: 'decode', message: /300 bytes/ })
  await assert.rejects(open({ proxy: 'socks5://ada:hunter2@proxy:1080' }), (error) => {
    assert.ok(error instanceof ConfigError && /proxy/.test(error.message) && !/hunter2/.test(error.message))
    return true
  })
  await assert.rejects(open({ caFile: '/no/such/roots.pem' }), { kind: 'config', message: /roots\.pem/ })
})
