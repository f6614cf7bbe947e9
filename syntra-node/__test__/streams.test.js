'use strict'
// How events cross: together when they are ready, none held back, a thousand streams at once.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')
const { setImmediate: tick } = require('node:timers/promises')
const { Syntra } = require('..')
const { startMock } = require('./mock')

const me = { org: 'acme', user: 'ada' }
const pieces = Array.from({ length: 40 }, (_, n) => `${n} `)
const bare = { recall: false, remember: false }

async function open(t, options) {
  const syntra = await Syntra.open(options)
  t.after(() => syntra.close())
  return syntra
}

const sockets = { skip: process.platform === 'win32', timeout: 120_000 }

async function aThousandStreams(t, memory) {
  const mock = await startMock(t, { models: { m1: [{ pieces }] } })
  const dataDir = mkdtempSync(join(tmpdir(), 'syntra-'))
  const providers = [{ name: 'alpha', baseUrl: mock.baseUrl('alpha'), models: ['m1'] }]
  const syntra = await open(t, { dataDir, providers })
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  let begun = 0
  let allBegan
  const began = new Promise((resolve) => (allBegan = resolve))
  const before = process.memoryUsage.rss()
  let most = 0
  const one = async (n) => {
    let text = ''
    for await (const piece of syntra.stream(me, `My ticket is number ${n}.`, { recall: memory, remember: memory }).texts()) {
      if (text === '' && ++begun === 1000) allBegan()
      text += piece
      await began // passes only when all thousand are open
      if (n % 50 === 0) most = Math.max(most, process.memoryUsage.rss())
    }
    // While others write.
    if (memory && n % 10 === 0) {
      const known = await syntra.recall(me, `Which ticket is number ${n}?`)
      assert.ok(known.items[0].memory.text.includes(` ${n}.`), known.items[0].memory.text)
    }
    return text
  }
  const texts = await Promise.all(Array.from({ length: 1000 }, (_, n) => one(n)))
  assert.deepEqual([...new Set(texts)], [pieces.join('')])
  assert.ok(most - before < 256 * 2 ** 20, `${(most - before) >> 20} MiB more`)
}

test('a thousand streams at once in bounded memory', sockets, (t) => aThousandStreams(t, false))

test('a thousand streams at once that recall and remember', sockets, (t) => aThousandStreams(t, true))

test('what is ready crosses together', async (t) => {
  const provider = { name: 'mine', models: ['m1'], async *stream() { for (let n = 0; n < 2000; n++) yield `${n} ` } }
  const syntra = await open(t, { providers: [provider] })
  const stream = syntra.stream(me, 'go', bare)
  let crossings = 0
  let text = ''
  let batch
  // Events of one crossing are one array: their promises are settled before any further crossing could be.
  for await (const event of stream) {
    if (event.type === 'text') text += event.text
    const turn = tick()
    if (batch === undefined) crossings++
    batch = turn
    void turn.then(() => { if (batch === turn) batch = undefined })
  }
  assert.equal(text, Array.from({ length: 2000 }, (_, n) => `${n} `).join(''))
  assert.ok(crossings < 400, `${crossings} crossings for 2000 pieces`)
})

test('none is held back', { timeout: 60_000 }, async (t) => {
  // Each piece is sent only when the one before was read: a held-back one would never be followed by another.
  const read = []
  let wake = () => undefined
  const provider = {
    name: 'mine',
    models: ['m1'],
    async *stream() {
      for (let n = 0; n < 20; n++) {
        yield `${n} `
        while (read.length <= n) await new Promise((resolve) => (wake = resolve))
      }
    },
  }
  const syntra = await open(t, { providers: [provider] })
  for await (const piece of syntra.stream(me, 'go', bare).texts()) {
    read.push(piece)
    wake()
  }
  assert.deepEqual(read, pieces.slice(0, 20))
})

test('a reader that stops reading holds the provider back', async (t) => {
  let yielded = 0
  const provider = {
    name: 'mine',
    models: ['m1'],
    async *stream() {
      for (;;) {
        yielded++
        yield 'x'.repeat(100)
        if (yielded % 50 === 0) await tick()
      }
    },
  }
  const syntra = await open(t, { providers: [provider] })
  const stream = syntra.stream(me, 'go', bare)
  for (;;) if ((await stream.next()).value?.type === 'text') break
  let last = -1
  for (let tries = 0; yielded !== last && tries < 2000; tries++) {
    last = yielded
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  stream.close()
  assert.ok(yielded < 5000, 'it goes on although nobody reads')
})
