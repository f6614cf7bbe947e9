'use strict'
// The Vercel AI SDK over Syntra, with the package itself.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } = require('ai')
const { RateLimitError, Syntra } = require('..')
const { createSyntra } = require('../dist/ai-sdk')

const me = { org: 'acme', user: 'ada' }

/** Answers with what it was asked; calls the first tool where it has one, until it was answered. */
function model() {
  const requests = []
  return {
    name: 'mine',
    models: ['m1', 'm2'],
    requests,
    async *stream(request) {
      requests.push(request)
      const last = request.messages.at(-1)
      const [part] = last.parts
      if (part.text === 'fail') throw new RateLimitError('slow down')
      if (request.output?.json_schema !== undefined || request.output?.jsonSchema !== undefined) yield '{"colour": "blue"}'
      else if (request.tools?.length > 0 && last.role === 'user') {
        yield { type: 'tool_call', id: 'c1', name: request.tools[0].name, arguments: { q: part.text } }
      } else {
        yield { type: 'reasoning', text: 'hm' }
        for (const piece of [request.model, ' heard ', part.text ?? part.content]) yield piece
      }
      yield { type: 'usage', inputTokens: 7, outputTokens: 3 }
    },
  }
}

async function open(t, provider) {
  const catalogue = provider.models.map((model) => ({ provider: 'mine', model, input: ['text', 'image'], tools: true, json_schema: true }))
  const assistant = await Syntra.open({ providers: [provider], catalogue, retryPolicy: { maxAttempts: 1 }, extractiveFallback: false })
  t.after(() => assistant.close())
  return { assistant, syntra: createSyntra(assistant, me, { remember: false }) }
}

test('generateText with a conversation of the caller', async (t) => {
  const provider = model()
  const { assistant, syntra } = await open(t, provider)
  const messages = [
    { role: 'user', content: 'I am Ada.' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: [{ type: 'text', text: 'Who am I?' }, { type: 'image', image: new Uint8Array([137, 80, 78, 71]), mediaType: 'image/png' }] },
  ]
  const { text, usage, finishReason, response, providerMetadata, reasoningText } = await generateText({ model: syntra('mine/m2'), system: 'Be brief.', messages, temperature: 0.5, topK: 3 })
  assert.equal(text, 'm2 heard Who am I?')
  assert.equal(reasoningText, 'hm')
  assert.deepEqual([usage.inputTokens, usage.outputTokens, finishReason], [7, 3, 'stop'])
  assert.equal(response.modelId, 'mine/m2')
  assert.equal(providerMetadata.syntra.degraded, false)
  const [request] = provider.requests
  assert.deepEqual(request.messages.slice(1).map((m) => [m.role, m.parts[0].text]), [['user', 'I am Ada.'], ['assistant', 'Hello.'], ['user', 'Who am I?']])
  assert.deepEqual([...request.messages.at(-1).parts[1].data], [137, 80, 78, 71])
  assert.match(request.messages[0].parts[0].text, /Be brief\./)
  assert.equal(request.temperature, 0.5)
  assert.deepEqual(await assistant.threads(me), [])
})

test('streamText, and a failure in it', async (t) => {
  const { syntra } = await open(t, model())
  const result = streamText({ model: syntra(), prompt: 'hello' })
  let text = ''
  for await (const piece of result.textStream) text += piece
  assert.match(text, /^m[12] heard hello$/)
  assert.equal((await result.usage).outputTokens, 3)
  assert.equal(await result.finishReason, 'stop')
  const errors = []
  await streamText({ model: syntra(), prompt: 'fail', onError: ({ error }) => errors.push(error) }).consumeStream()
  assert.ok(errors[0] instanceof RateLimitError)
})

test('tools are called and answered', async (t) => {
  const provider = model()
  const { syntra } = await open(t, provider)
  const find = tool({
    description: 'Finds',
    inputSchema: jsonSchema({ type: 'object', properties: { q: { type: 'string' } } }),
    execute: async ({ q }) => `${q} is under the pot`,
  })
  const given = { model: syntra(), tools: { find }, prompt: 'the key', stopWhen: stepCountIs(3) }
  assert.match((await generateText(given)).text, /heard the key is under the pot$/)
  let text = ''
  for await (const piece of streamText(given).textStream) text += piece
  assert.match(text, /heard the key is under the pot$/)
})

test('objects, and aborting', async (t) => {
  const hanging = { name: 'mine', models: ['m1'], complete: (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) }
  const { syntra } = await open(t, model())
  const schema = jsonSchema({ type: 'object', properties: { colour: { type: 'string' } }, required: ['colour'], additionalProperties: false })
  assert.deepEqual((await generateObject({ model: syntra('mine/m1'), schema, prompt: 'the pot' })).object, { colour: 'blue' })
  const { syntra: slow } = await open(t, hanging)
  await assert.rejects(generateText({ model: slow(), prompt: 'hello', abortSignal: AbortSignal.timeout(50), maxRetries: 0 }), /abort|timeout/i)
})
