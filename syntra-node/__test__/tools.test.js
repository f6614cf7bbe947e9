'use strict'
// JavaScript functions as tools that the assistant runs.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Syntra } = require('..')

const me = { org: 'acme', user: 'ada' }

/** Calls `name` once with `args` and then says what came back. */
function caller(name, args) {
  const requests = []
  return {
    name: 'mine', models: ['m'], requests,
    complete(request) {
      requests.push(request)
      const last = request.messages.at(-1)
      return last.role === 'tool' ? `It says: ${last.parts[0].content}` : { toolCalls: [{ id: 'c1', name, arguments: args }] }
    },
  }
}

async function open(t, options) {
  const syntra = await Syntra.open(options)
  t.after(() => syntra.close())
  return syntra
}

const parameters = { type: 'object', properties: { cityName: { type: 'string' } }, required: ['cityName'] }

test('a function is a tool, plain or async, and knows for whom it is called', async (t) => {
  for (const execute of [
    ({ cityName }, { scope }) => ({ cityName, for: scope.user }),
    async ({ cityName }, { scope }) => JSON.stringify({ cityName, for: scope.user }),
  ]) {
    const provider = caller('weather', { cityName: 'Lisbon' })
    const syntra = await open(t, { providers: [provider], tools: [{ name: 'weather', description: 'The weather.', parameters, execute }] })
    const answer = await syntra.ask(me, 'What is the weather in Lisbon?')
    assert.equal(answer.text, 'It says: {"cityName":"Lisbon","for":"ada"}')
    assert.equal(answer.trace.tools[0].name, 'weather')
    assert.deepEqual(provider.requests[0].tools[0].parameters, parameters)
  }
})

test('what a tool throws the model is told', async (t) => {
  const execute = () => { throw new RangeError('no such city') }
  const syntra = await open(t, { providers: [caller('weather', { cityName: 'Faro' })], tools: [{ name: 'weather', parameters, execute }] })
  const answer = await syntra.ask(me, 'What is the weather in Faro?')
  assert.match(answer.text, /no such city/)
  assert.match(answer.trace.tools[0].error, /no such city/)
})

test('a tool that hangs is given up and told so', async (t) => {
  let aborted = false
  const execute = (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => { aborted = true; resolve('') }))
  const syntra = await open(t, { providers: [caller('wait', {})], tools: [{ name: 'wait', parameters: { type: 'object' }, timeout: 0.05, execute }] })
  assert.match((await syntra.ask(me, 'Wait!')).text, /longer than/)
  assert.ok(aborted)
})

test('what is no tool is refused by name', async () => {
  const good = { name: 'weather', parameters, execute: () => '' }
  await assert.rejects(Syntra.open({ tools: [good, good] }), /weather/)
  await assert.rejects(Syntra.open({ tools: [{ name: 'weather', parameters }] }), /execute/)
  await assert.rejects(Syntra.open({ tools: [{ ...good, parameters: { type: 7 } }] }), /schema/)
})
