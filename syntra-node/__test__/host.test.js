'use strict'
// Providers and embedders written in JavaScript.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { DecodeError, EmbeddingError, QuotaExhaustedError, Syntra, SyntraError, TransientError } = require('..')

const me = { org: 'acme', user: 'ada' }

/** Lent objects do not keep the process alive, so a test that waits for one has to. */
async function open(t, options) {
  const alive = setInterval(() => undefined, 1000)
  const syntra = await Syntra.open(options)
  t.after(() => {
    syntra.close()
    clearInterval(alive)
  })
  return syntra
}

test('a plain function answers', async (t) => {
  const seen = []
  const provider = {
    name: 'mine',
    models: ['m1'],
    complete(request) {
      seen.push(request)
      return { text: `heard ${request.messages.at(-1).parts[0].text}`, reasoning: 'hm', usage: { inputTokens: 5, outputTokens: 2 } }
    },
  }
  const syntra = await open(t, { providers: [provider] })
  const answer = await syntra.ask(me, 'hello there', { temperature: 0.5, extra: { someKey: { in_ner: 1 } } })
  assert.equal(answer.text, 'heard hello there')
  assert.equal(answer.reasoning, 'hm')
  assert.deepEqual([answer.provider, answer.model, answer.degraded], ['mine', 'm1', false])
  assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [5, 2])
  assert.equal(seen[0].temperature, 0.5)
  assert.deepEqual(seen[0].extra, { someKey: { in_ner: 1 } })
})

test('an async generator streams, with events of every kind', async (t) => {
  const provider = {
    name: 'mine',
    models: ['m1'],
    async *stream() {
      yield 'from '
      yield { type: 'reasoning', text: 'thinking' }
      await sleep(2)
      yield { type: 'text', text: 'a generator' }
      yield { type: 'usage', inputTokens: 4, outputTokens: 3 }
    },
  }
  const syntra = await open(t, { providers: [provider] })
  const stream = syntra.stream(me, 'hello')
  let text = ''
  for await (const piece of stream.texts()) text += piece
  assert.equal(text, 'from a generator')
  assert.equal(stream.done.usage.outputTokens, 3)
  assert.equal((await syntra.ask(me, 'hello')).text, 'from a generator')
})

test('leaving a stream stops the provider', async (t) => {
  let closed
  const ended = new Promise((resolve) => (closed = resolve))
  const provider = {
    name: 'mine',
    models: ['m1'],
    async *stream(_, { signal }) {
      try {
        yield 'begin'
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      } finally {
        closed()
      }
    },
  }
  const syntra = await open(t, { providers: [provider] })
  for await (const event of syntra.stream(me, 'hello')) if (event.type === 'text') break
  await ended
})

test('an aborted question aborts the provider', async (t) => {
  let aborted
  const ended = new Promise((resolve) => (aborted = resolve))
  const stop = new AbortController()
  const provider = {
    name: 'mine',
    models: ['m1'],
    complete: (_, { signal }) =>
      new Promise(() => {
        signal.addEventListener('abort', aborted)
        stop.abort(new Error('enough'))
      }),
  }
  const syntra = await open(t, { providers: [provider] })
  await assert.rejects(syntra.ask(me, 'hello', { signal: stop.signal }), /enough/)
  await ended
})

test('an exception arrives as cause, and memory answers', async (t) => {
  const boom = new RangeError('boom')
  const provider = { name: 'mine', models: ['m1'], complete() { throw boom } }
  const strict = await open(t, { providers: [provider], extractiveFallback: false })
  await assert.rejects(strict.ask(me, 'hello'), (error) => {
    assert.ok(error instanceof SyntraError)
    assert.equal(error.cause, boom)
    assert.equal(error.provider, 'mine')
    assert.match(error.message, /RangeError: boom/)
    return true
  })
  const lenient = await open(t, { providers: [provider] })
  assert.equal((await lenient.ask(me, 'hello')).degraded, true)
})

test('an error of ours keeps its kind, and another provider takes over', async (t) => {
  const limited = { name: 'limited', models: ['m1'], complete() { throw new QuotaExhaustedError('nothing left', { status: 402 }) } }
  const mine = { name: 'mine', models: ['m1'], complete: () => 'here I am' }
  const strict = await open(t, { providers: [limited], extractiveFallback: false })
  await assert.rejects(strict.ask(me, 'hello', { model: 'limited/m1' }), { name: 'QuotaExhaustedError', status: 402, message: /nothing left/ })
  const both = await open(t, { providers: [limited, mine] })
  const answer = await both.ask(me, 'hello')
  assert.deepEqual([answer.provider, answer.text], ['mine', 'here I am'])
})

test('an error in mid-stream ends the stream after what came', async (t) => {
  const provider = {
    name: 'mine',
    models: ['m1'],
    async *stream() {
      yield 'half'
      throw new TransientError('gone')
    },
  }
  const syntra = await open(t, { providers: [provider], extractiveFallback: false })
  const seen = []
  await assert.rejects(async () => {
    for await (const event of syntra.stream(me, 'hello')) seen.push(event.type)
  }, TransientError)
  assert.ok(seen.includes('text') && !seen.includes('done'))
})

/** Breaks off its first answer and goes on with it when it is asked to. */
function breaking(resumes) {
  const requests = []
  return {
    name: 'mine',
    models: ['m1'],
    resumes,
    requests,
    async *stream(request) {
      requests.push(request)
      if (requests.length === 1) {
        yield 'The tides are '
        throw new TransientError('the line went dead')
      }
      yield request.messages.at(-1).role === 'assistant' ? ' caused by the moon.' : 'All anew.'
    },
  }
}

test('an answer that breaks off is gone on with by a provider that resumes', async (t) => {
  const provider = breaking(true)
  const syntra = await open(t, { providers: [provider], retryPolicy: { backoff: 0.01 } })
  let text = ''
  for await (const piece of syntra.stream(me, 'What causes the tides?').texts()) text += piece
  assert.equal(text, 'The tides are caused by the moon.')
  assert.equal(provider.requests[1].messages.at(-1).parts[0].text, 'The tides are')
})

test('where nobody resumes, the host decides', async (t) => {
  const settings = { retryPolicy: { backoff: 0.01 }, recovery: 'resume_or_restart' }
  const one = await open(t, { ...settings, providers: [breaking(false)] })
  const types = []
  for await (const event of one.stream(me, 'What causes the tides?')) types.push(event.type)
  assert.deepEqual(types.filter((type) => type === 'text' || type === 'restart'), ['text', 'restart', 'text'])
  const two = await open(t, { ...settings, providers: [breaking(false)] })
  await assert.rejects(async () => {
    for await (const _ of two.stream(me, 'What causes the tides?', { recovery: 'fail' })) { /* until it fails */ }
  }, TransientError)
})

test('a refusal arrives as one', async (t) => {
  const provider = { name: 'mine', models: ['m1'], complete: () => ({ refusal: 'I would rather not.' }) }
  const syntra = await open(t, { providers: [provider] })
  const { refusal, finish } = await syntra.complete('mine', { model: 'm1', messages: [{ role: 'user', parts: [{ type: 'text', text: 'x' }] }] })
  assert.deepEqual([refusal, finish], ['I would rather not.', 'refusal'])
})

test('what a provider returns is checked', async (t) => {
  const odd = { name: 'mine', models: ['m1'], complete: () => ({ txt: 'misspelt' }) }
  const syntra = await open(t, { providers: [odd], extractiveFallback: false })
  await assert.rejects(syntra.ask(me, 'hello'), DecodeError)
})

test('an embedder is asked in batches and finds', async (t) => {
  const batches = []
  const embedder = {
    model: 'axes',
    dimensions: 3,
    embed(texts) {
      batches.push(texts.length)
      return texts.map((text) => new Float32Array([2 * text.includes('cat'), 2 * text.includes('dog'), 0.1]))
    },
  }
  const syntra = await open(t, { embedder })
  await syntra.remember(me, ['the cat sleeps', 'the dog barks', 'nobody is here'])
  assert.deepEqual(batches, [3])
  const found = await syntra.recall(me, 'cat')
  assert.equal(found.items[0].memory.text, 'the cat sleeps')
  const [vector] = await syntra.embed(['cat'])
  assert.ok(Math.abs(vector.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-5)
  assert.equal((await syntra.health()).embedder, 'axes')
  const bad = await open(t, { embedder: { model: 'bad', dimensions: 2, embed: async (texts) => texts.map(() => [0, 0]) } })
  await assert.rejects(bad.embed(['cat']), EmbeddingError)
})

test('what was remembered before another embedder gets its vectors', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'syntra-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const before = await open(t, { dataDir })
  await before.remember(me, ['the cat sleeps', 'the dog barks', 'nobody is here'])
  const batches = []
  const embed = (texts) => {
    batches.push(texts.length)
    return texts.map((text) => [2 * text.includes('cat'), 2 * text.includes('dog'), 0.1])
  }
  const syntra = await open(t, { dataDir, embedder: { model: 'axes', dimensions: 3, embed } })
  const stats = await syntra.memoryStats(me)
  assert.deepEqual([stats.withVector, stats.withOtherVector], [0, 3])
  assert.equal(await syntra.embedMissing(me), 3)
  assert.deepEqual(batches, [3])
  assert.equal((await syntra.memoryStats(me)).withVector, 3)
  const found = await syntra.recall(me, 'cat', { strategies: ['vector'] })
  assert.equal(found.items[0].memory.text, 'the cat sleeps')
  assert.equal(await syntra.embedMissing(me), 0)
})

test('progress of indexing is heard, in order and before the end', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const n of [0, 1, 2]) writeFileSync(join(folder, `f${n}.txt`), `The number of file ${n} is ${n * 7}.\n`)
  const syntra = await open(t, {})
  const heard = []
  await syntra.indexDirectory(me, folder, { onProgress: (progress) => heard.push(progress.path) })
  assert.deepEqual(heard, ['f0.txt', 'f1.txt', 'f2.txt', undefined])
  const enough = new Error('enough')
  const failing = syntra.indexDirectory({ org: 'acme', user: 'bob' }, folder, { onProgress: () => { throw enough } })
  await assert.rejects(failing, (error) => error.cause === enough)
})

test('many questions at once to a JavaScript provider', async (t) => {
  const provider = {
    name: 'mine',
    models: ['m1'],
    async complete(request) {
      await sleep(5)
      return request.messages.at(-1).parts[0].text.toUpperCase()
    },
  }
  const syntra = await open(t, { providers: [provider] })
  const asks = Array.from({ length: 100 }, (_, n) => syntra.ask(me, `question ${n}`, { remember: false, recall: false }))
  const answers = await Promise.all(asks)
  assert.deepEqual(answers.map((a) => a.text), Array.from({ length: 100 }, (_, n) => `QUESTION ${n}`))
})
