'use strict'
// Routers, rankers, context builders, stores and clocks written in JavaScript.

const assert = require('node:assert/strict')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { ConfigError, ContextTooLongError, DecodeError, NotFoundError, OverloadedError, StorageError, Syntra } = require('..')

const me = { org: 'acme', user: 'ada' }
const noon = new Date('2026-01-02T12:00:00.000Z')

function own(models = ['small', 'large']) {
  const requests = []
  return { name: 'mine', models, requests, complete(request) { requests.push(request); return `${request.model} answers` } }
}

async function open(t, options) {
  const syntra = await Syntra.open(options)
  t.after(() => syntra.close())
  return syntra
}

test('a router chooses and hears how it went', async (t) => {
  const queries = []
  const outcomes = []
  const router = {
    async plan(query, fleet) {
      queries.push(query)
      assert.deepEqual(fleet.map((model) => `${model.provider}/${model.model}`).sort(), ['mine/large', 'mine/small'])
      assert.ok(fleet.every((model) => model.available && model.cachedTokens === 0 && model.tokensPerSecond === undefined))
      return [{ target: { provider: 'mine', model: 'large' }, reason: 'it is Monday' }, 'mine/small']
    },
    observe: (outcome) => outcomes.push(outcome),
  }
  const syntra = await open(t, { providers: [own()], router })
  const answer = await syntra.ask(me, 'What is a monad?', { maxCostUsd: 0.5 })
  assert.equal(answer.text, 'large answers')
  assert.equal(answer.trace.plan.order[0].reason, 'it is Monday')
  assert.equal(queries.at(-1).organisation, 'acme')
  assert.equal(queries.at(-1).maxCost, 500_000_000)
  assert.equal(queries.at(-1).needs.jsonSchema, false)
  await syntra.feedback(me, answer.turnId, 0.25)
  for (let tries = 0; !outcomes.some((o) => o.score !== undefined) && tries < 1000; tries++) await sleep(5)
  assert.deepEqual(outcomes[0].target, { provider: 'mine', model: 'large' })
  assert.deepEqual(outcomes.map((o) => o.score).filter((score) => score !== undefined), [0.25])
})

test('what a router throws is the cause, and a stranger is told', async (t) => {
  const failure = new RangeError('no luck')
  const broken = await open(t, { providers: [own()], router: { plan: () => { throw failure } } })
  await assert.rejects(broken.ask(me, 'hello'), (error) => error.cause === failure && /no luck/.test(error.message))
  const stranger = await open(t, { providers: [own()], router: { plan: () => ['other/model'] } })
  await assert.rejects(stranger.plan(me, 'hello'), (error) => error instanceof NotFoundError && /other\/model.*mine\//.test(error.message))
  await assert.rejects(Syntra.open({ router: {} }), /plan/)
})

test('a ranker gets all candidates at once and orders them', async (t) => {
  const batches = []
  const ranker = {
    name: 'newest',
    async rank(query, candidates) {
      batches.push(candidates.length)
      assert.ok(query.now instanceof Date && query.limit > 0)
      return candidates.map(({ id, signals }) => ({ id, parts: { age_days: -signals.age_days } }))
    },
  }
  const syntra = await open(t, { ranker })
  for (const [days, text] of [[30, 'The cat sat in May.'], [1, 'The cat sat in June.'], [9, 'The cat sat on the mat.']]) {
    await syntra.remember(me, { text, saidAt: new Date(Date.now() - days * 86_400_000) })
  }
  const { items } = await syntra.recall(me, 'the cat sat')
  assert.deepEqual(items.map((item) => item.memory.text), ['The cat sat in June.', 'The cat sat on the mat.', 'The cat sat in May.'])
  assert.deepEqual(batches, [3])
  assert.deepEqual(Object.keys(items[0].parts), ['age_days'])
  const inventive = await open(t, { ranker: { rank: () => [['nothing of the kind', 1]] } })
  await inventive.remember(me, 'one fish')
  await assert.rejects(inventive.recall(me, 'fish'), DecodeError)
})

test('an older ranker by name', async (t) => {
  const parts = []
  for (const options of [{ ranker: 'classic' }, {}]) {
    const syntra = await open(t, options)
    await syntra.remember(me, ['one fish', 'two fish'])
    parts.push(Object.keys((await syntra.recall(me, 'two fish')).items[0].parts))
  }
  assert.ok(parts[0].includes('reliability') && !parts[1].every((name) => parts[0].includes(name)), `${parts}`)
  await assert.rejects(open(t, { ranker: 'modern' }), { kind: 'config', message: /classic_fixed/ })
})

test('weights for the default ranker', async (t) => {
  const kinds = ['people', 'assistant', 'documents', 'statements', 'code']
  const ranker = Object.fromEntries(kinds.map((kind) => [kind, { keyword: 0, windowKeyword: 0, vector: 1 }]))
  const syntra = await open(t, { ranker })
  await syntra.remember(me, ['one fish', 'two fish', 'a red boat'])
  const { parts } = (await syntra.recall(me, 'two fish')).items[0]
  assert.ok(!parts.keyword && parts.vector > 0, JSON.stringify(parts))
  await assert.rejects(open(t, { ranker: { poeple: {} } }), { kind: 'config', message: /people/ })
  await assert.rejects(open(t, { ranker: { people: { lenght: 1 } } }), { kind: 'config', message: /length/ })
})

test('a reranker reads the best again, and where it fails the ranking stays', async (t) => {
  const reranker = {
    name: 'likes dogs',
    weight: 3,
    async rerank(question, texts) {
      assert.equal(question, 'the cat sat')
      return texts.map((text) => (text.includes('dog') ? 1 : 0))
    },
  }
  const syntra = await open(t, { reranker })
  await syntra.remember(me, ['The cat sat on the mat.', 'The cat and the dog.'])
  const { items, rerank } = await syntra.recall(me, 'the cat sat', { limit: 1 })
  assert.deepEqual(items.map((item) => [item.memory.text, item.parts.rerank]), [['The cat and the dog.', 3]])
  assert.deepEqual([rerank.name, rerank.read, rerank.error], ['likes dogs', 2, undefined])
  const broken = await open(t, { reranker: { rerank: () => { throw new RangeError('lost') } } })
  await broken.remember(me, ['The cat sat on the mat.', 'The cat and the dog.'])
  const found = await broken.recall(me, 'the cat sat')
  assert.equal(found.items[0].memory.text, 'The cat sat on the mat.')
  assert.ok(found.rerank.error && found.rerank.read === 0)
  await assert.rejects(Syntra.open({ reranker: {} }), /rerank/)
})

test('a context builder says what is sent and is held to the window', async (t) => {
  const provider = own(['m1'])
  const contextBuilder = {
    build({ memories, current, now, currentTokens, budget }) {
      assert.ok(now instanceof Date && currentTokens > 0 && budget.total > 0)
      const [first, ...rest] = memories
      return {
        messages: [{ role: 'system', parts: [{ type: 'text', text: `[1] ${first.memory.text}` }] }, current],
        lines: [{ section: 'semantic', label: 1, memoryId: first.memory.id, tokens: first.tokens }],
        dropped: rest.map((m) => ({ section: 'semantic', memoryId: m.memory.id, tokens: m.tokens, reason: 'one is enough' })),
      }
    },
  }
  const syntra = await open(t, { providers: [provider], contextBuilder })
  await syntra.remember(me, ['The ferry leaves at six.', 'The ferry is blue.'])
  const answer = await syntra.ask(me, 'When does the ferry leave?')
  assert.deepEqual(provider.requests.at(-1).messages.map((m) => m.role), ['system', 'user'])
  assert.deepEqual(answer.trace.context.map((line) => line.label), [1])
  assert.equal(answer.trace.dropped[0].reason, 'one is enough')
  const verbose = { build: ({ current }) => [{ role: 'system', parts: [{ type: 'text', text: 'word '.repeat(500) }] }, current] }
  const narrow = await open(t, { providers: [own()], contextBuilder: verbose, budget: { window: 100 } })
  await assert.rejects(narrow.ask(me, 'hello'), ContextTooLongError)
})

/** A memory store in a map that finds by shared words. */
class Memories {
  rows = new Map()
  touched = []
  #n = 0

  #of({ org, user }) {
    const key = `${org}/${user}`
    if (!this.rows.has(key)) this.rows.set(key, new Map())
    return this.rows.get(key)
  }

  #add(scope, item) {
    for (const row of this.#of(scope).values()) if (row.text === item.text && row.validTo === undefined) return { id: row.id, outcome: 'duplicate' }
    assert.ok(item.vector.length > 0, "the embedder's vector comes with it")
    const id = item.id ?? `m${++this.#n}`
    const saidAt = item.saidAt ?? noon
    this.#of(scope).set(id, { ...item, vector: undefined, id, saidAt, createdAt: noon, validFrom: saidAt, accessCount: 0, metadata: item.metadata ?? {} })
    return { id, outcome: 'created' }
  }

  async remember(scope, items) {
    return items.map((item) => this.#add(scope, item))
  }

  async recall(scope, strategy, query) {
    if (strategy !== 'keyword') return []
    assert.ok(query.now instanceof Date && Array.isArray(query.vector))
    const words = new Set(query.text.toLowerCase().match(/\w+/g))
    const score = (row) => row.text.toLowerCase().match(/\w+/g).filter((word) => words.has(word)).length
    const rows = [...this.#of(scope).values()].filter((row) => row.validTo === undefined && score(row) > 0)
    return rows.sort((a, b) => score(b) - score(a)).map((row) => [row.id, score(row)])
  }

  get(scope, ids) {
    return ids.flatMap((id) => this.#of(scope).get(id) ?? [])
  }

  update(scope, id, patch) {
    const row = this.#of(scope).get(id)
    if (row === undefined) throw new NotFoundError(`there is no memory ${id}`)
    return Object.assign(row, patch, { vector: undefined })
  }

  supersede(scope, old, item) {
    const made = this.#add(scope, item)
    Object.assign(this.#of(scope).get(old), { validTo: noon, supersededBy: made.id })
    return made
  }

  replaced(scope, ids, since, until) {
    assert.deepEqual([since, until], [new Date('2020-05-01T00:00:00Z'), new Date('2020-06-01T00:00:00Z')])
    return [...this.#of(scope).values()].filter((row) => ids.includes(row.supersededBy)).map((row) => [row.supersededBy, row])
  }

  forget(scope, ids) {
    return ids.filter((id) => this.#of(scope).delete(id)).length
  }

  touch(_scope, ids, at) {
    assert.ok(at instanceof Date)
    this.touched.push(...ids)
  }

  list(scope, _filter, { offset, limit }) {
    return [...this.#of(scope).values()].slice(offset, offset + limit)
  }

  stats(scope) {
    const rows = [...this.#of(scope).values()]
    return { byType: { semantic: rows.length }, total: rows.length, superseded: 0, withVector: rows.length, withOtherVector: 0 }
  }

  erase(scope) {
    const memories = this.#of(scope).size
    this.#of(scope).clear()
    return { memories, vectors: 0, messages: 0 }
  }
}

test('a memory store of ones own', async (t) => {
  const store = new Memories()
  const syntra = await open(t, { memoryStore: store })
  const [first, again] = await syntra.remember(me, ['The spare key is under the blue pot.', 'The spare key is under the blue pot.'])
  assert.deepEqual([first.outcome, again.outcome, again.id], ['created', 'duplicate', first.id])
  const [{ id }] = await syntra.remember(me, { text: 'The bridge opens at noon.', kind: 'episodic', metadata: { some_key: [1] }, saidAt: noon })
  assert.match((await syntra.ask(me, 'Where is the spare key?', { remember: false })).text, /blue pot/)
  assert.ok(store.touched.length > 0)
  const [memory] = await syntra.memories(me, id)
  assert.deepEqual([memory.kind, memory.metadata, memory.saidAt], ['episodic', { some_key: [1] }, noon])
  assert.equal((await syntra.updateMemory(me, id, { title: 'Bridge' })).title, 'Bridge')
  assert.equal((await syntra.supersede(me, first.id, 'The spare key is in the drawer.')).outcome, 'created')
  const then = await syntra.recall(me, 'Where was the spare key in May 2020?', { now: noon })
  assert.deepEqual(then.items.find((item) => item.memory.id === first.id)?.memory.validTo, noon)
  assert.deepEqual((await syntra.memoriesAsOf(me, noon, { limit: 1 })).map((memory) => memory.validTo), [undefined])
  assert.equal((await syntra.memoryStats(me)).byType.semantic, 3)
  assert.equal((await syntra.listMemories(me, { limit: 1 })).length, 1)
  await assert.rejects(syntra.updateMemory(me, 'nowhere', { title: 'x' }), (error) => error instanceof NotFoundError && /nowhere/.test(error.message))
  assert.equal(await syntra.forget(me, id), 1)
  assert.equal((await syntra.erase(me)).memories, 2)
  const failure = new Error('the disk is gone')
  store.remember = () => { throw failure }
  await assert.rejects(syntra.remember(me, 'x'), (error) => error instanceof StorageError && error.cause === failure)
  await assert.rejects(Syntra.open({ memoryStore: {} }), /memoryStore needs a method remember/)
})

class Threads {
  rows = new Map()
  summaries = new Map()
  #n = 0

  create(scope, id = `t${++this.#n}`, title = undefined) {
    const key = `${scope.user}/${id}`
    if (!this.rows.has(key)) this.rows.set(key, { thread: { id, title, createdAt: noon, updatedAt: noon, messages: 0 }, messages: [] })
    return this.rows.get(key).thread
  }

  #row(scope, id) {
    const row = this.rows.get(`${scope.user}/${id}`)
    if (row === undefined) throw new NotFoundError(`there is no thread ${id}`)
    return row
  }

  async read(scope, id) {
    return this.#row(scope, id).thread
  }

  list(scope, offset, limit) {
    return [...this.rows].filter(([key]) => key.startsWith(`${scope.user}/`)).map(([, row]) => row.thread).slice(offset, offset + limit)
  }

  delete(scope, id) {
    return this.rows.delete(`${scope.user}/${id}`)
  }

  async append(scope, id, messages) {
    const row = this.#row(scope, id)
    const added = messages.map((m) => ({ id: m.id ?? `x${++this.#n}`, place: row.messages.length + messages.indexOf(m), message: m.message, createdAt: noon, metadata: m.metadata }))
    row.messages.push(...added)
    row.thread.messages = row.messages.length
    return added
  }

  history(scope, id, limit, before) {
    return this.#row(scope, id).messages.filter((m) => before === undefined || m.place < before).slice(-limit)
  }

  summary(_scope, id) {
    return this.summaries.get(id)
  }

  setSummary(_scope, id, from, summary) {
    if ((this.summaries.get(id)?.covered ?? 0) !== from) return false
    this.summaries.set(id, summary)
    return true
  }

  erase(scope) {
    let messages = 0
    for (const [key, row] of this.rows) if (key.startsWith(`${scope.user}/`) && this.rows.delete(key)) messages += row.messages.length
    return messages
  }
}

test('a thread store of ones own', async (t) => {
  const store = new Threads()
  const provider = own(['m1'])
  const syntra = await open(t, { providers: [provider], threadStore: store, historyMessages: 4 })
  const { id } = await syntra.createThread(me, { title: 'Trip' })
  await syntra.ask(me, 'My name is Ada.', { thread: id })
  await syntra.ask(me, 'What is my name?', { thread: id })
  assert.deepEqual((await syntra.history(me, id)).map((m) => m.message.role), ['user', 'assistant', 'user', 'assistant'])
  assert.ok(provider.requests.at(-1).messages.some((m) => m.parts[0].text === 'My name is Ada.'))
  assert.equal((await syntra.thread(me, id)).messages, 4)
  assert.equal((await syntra.threads(me))[0].title, 'Trip')
  assert.equal((await syntra.append(me, id, { role: 'user', parts: [{ type: 'text', text: 'noted' }] }))[0].place, 4)
  for (let n = 0; n < 12; n++) await syntra.ask(me, `The price of item ${n} is ${n} euros.`, { thread: id })
  assert.ok(store.summaries.get(id).covered > 0, 'what is older is kept in short')
  await assert.rejects(syntra.thread({ org: 'acme', user: 'bob' }, id), NotFoundError)
  assert.equal(await syntra.deleteThread(me, id), true)
})

test('a clock of ones own', async (t) => {
  let now = noon
  let seconds = 0
  let failing = true
  const provider = { name: 'mine', models: ['m1'], complete() { if (failing) throw new OverloadedError('busy'); return 'back' } }
  const clock = { now: async () => now, monotonic: () => seconds }
  const breaker = { failures: 1, coolDown: 600 }
  const syntra = await open(t, { providers: [provider], clock, breaker, retryPolicy: { maxAttempts: 1 } })
  const [one] = await syntra.remember(me, 'We met today.')
  assert.deepEqual((await syntra.memories(me, one.id))[0].createdAt, noon)
  now = new Date(noon.getTime() + 86_400_000)
  const [two] = await syntra.remember(me, 'We met again.')
  assert.deepEqual((await syntra.memories(me, two.id))[0].createdAt, now)
  assert.equal((await syntra.ask(me, 'hello')).degraded, true)
  assert.equal((await syntra.health()).models[0].keys[0].breaker, 'open')
  failing = false
  seconds = 601
  assert.equal((await syntra.ask(me, 'hello')).text, 'back')
  await assert.rejects(Syntra.open({ clock: { now() { throw new Error('no hands') } } }), /no hands/)
})

test('rows of a catalogue', async (t) => {
  const rows = [{ provider: 'mine', model: 'm1', context_window: 4321 }]
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'rows.json'), JSON.stringify({ header: { schema: 1 }, models: rows }))
  for (const catalogue of [rows, join(folder, 'rows.json')]) {
    const syntra = await open(t, { providers: [own(['m1'])], catalogue })
    assert.equal((await syntra.plan(me, 'hello')).candidates[0].contextWindow, 4321)
  }
  await assert.rejects(Syntra.open({ catalogue: join(folder, 'nowhere.json') }), ConfigError)
})

test('rooms wait beside each other', async (t) => {
  let inside = 0
  let most = 0
  const router = {
    async plan() {
      most = Math.max(most, ++inside)
      while (most < 50) await sleep(1) // passes only when fifty wait at once
      inside--
      return ['mine/large']
    },
  }
  const syntra = await open(t, { providers: [own()], router, memoryStore: new Memories(), threadStore: new Threads() })
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => syntra.ask(me, `question ${n}`, { remember: false })))
  assert.deepEqual([...new Set(answers.map((answer) => answer.text))], ['large answers'])
})
