'use strict'
// Models in a folder, in a build with the feature `fastembed`; `tests/run.sh` makes one, and brings ONNX Runtime.

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { test } = require('node:test')
const { Syntra } = require('..')

const me = { org: 'acme', user: 'ada' }
const models = join(__dirname, '..', '..', 'tests', 'models')
const options = process.env.ORT_DYLIB_PATH === undefined ? { skip: 'ORT_DYLIB_PATH does not name ONNX Runtime\'s library' } : {}

test('a sentence transformer finds by meaning', options, async (t) => {
  const folder = join(models, 'embedder')
  const syntra = await Syntra.open({ embedder: { name: 'fastembed', folder, threads: 1, queryPrefix: 'cat ', cacheBytes: 4096 } })
  t.after(() => syntra.close())
  assert.match((await syntra.health()).embedder, /^fastembed\/embedder#/)
  assert.deepEqual(Array.from((await syntra.embed(['cat']))[0]), [1, 0, 0, 0])
  await syntra.remember(me, ['puppy', 'key', 'kitten'])
  // The words put before the question turn it towards cats; no word of it is in any of them.
  assert.equal((await syntra.recall(me, 'lock')).items[0].memory.text, 'kitten')
  const first = await Syntra.open({ embedder: { name: 'fastembed', folder, firstToken: true, maxTokens: 8 } })
  t.after(() => first.close())
  assert.deepEqual(Array.from((await first.embed(['dog cat']))[0]), [0, 1, 0, 0])
})

test('a cross-encoder reads question and text together', options, async (t) => {
  const folder = join(models, 'reranker')
  const syntra = await Syntra.open({ reranker: { name: 'fastembed', folder, threads: 1, depth: 2, weight: 100 } })
  t.after(() => syntra.close())
  await syntra.remember(me, ['The cat has a key.', 'The key key key.'])
  const { items, rerank } = await syntra.recall(me, 'Where is the cat?')
  assert.equal(items[0].memory.text, 'The key key key.')
  assert.match(rerank.name, /^fastembed\/reranker#/)
  assert.equal(rerank.read, 2)
  await assert.rejects(Syntra.open({ reranker: { name: 'fastembed', folder, depth: 0 } }), { kind: 'config', message: /depth/ })
})

test('what is wrong with a model in a folder is named', async () => {
  const wrong = [
    [{ embedder: { name: 'fastembed' } }, /folder/],
    [{ embedder: { name: 'fastembed', folder: 'nowhere' } }, /model\.onnx/],
    [{ embedder: { name: 'openai', folder: 'nowhere' } }, /no `folder`/],
    [{ reranker: { name: 'fastembed' } }, /folder/],
    [{ reranker: { name: 'other', folder: 'nowhere' } }, /other/],
  ]
  for (const [settings, message] of wrong) await assert.rejects(Syntra.open(settings), { kind: 'config', message })
})
